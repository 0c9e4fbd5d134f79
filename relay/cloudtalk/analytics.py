"""The facts in an answer of CloudTalk's analytics API, `GET /calls/{call_id}`. Pure, and raises nothing.

Source: CloudTalk's OpenAPI description 1.7. `call_steps` are what the call went through: `queue` (with
`agent_calls`), `agent`, `ivr`, `playback`, `transfer`. A queue and an agent have a `status`, and if nobody
answered a `reason`. `resolved_by_call` is the conversation with the customer after that, if there was one.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any, Final, TypeVar

from relay.call import MissedReason
from relay.cloudtalk.errors import InvalidPayload, InvalidValue
from relay.cloudtalk.identity import is_uuid
from relay.cloudtalk.text_limits import LONGEST_NAME
from relay.cloudtalk.times import parse_instant, parse_seconds
from relay.cloudtalk.values import parse_display_text, parse_flag, parse_numeric_id

T = TypeVar("T")

_REASONS: Final = {
    "no_agents_online": MissedReason.NO_AGENTS_ONLINE,
    "no_agents_available": MissedReason.NO_AGENTS_AVAILABLE,
    "no_agents_picked_up": MissedReason.NO_AGENTS_PICKED_UP,
    "canceled": MissedReason.CANCELED,
}
_REASONS_OF_AGENT: Final = {
    "busy": MissedReason.BUSY,
    "not_picked_up": MissedReason.NOT_PICKED_UP,
    "offline": MissedReason.OFFLINE,
    "idle": MissedReason.IDLE,
    "canceled": MissedReason.CANCELED,
}
_RANG: Final = frozenset({"not_picked_up", "canceled"})
"""The reasons of an agent whose phone surely rang."""

_MOST_RUNG: Final = 50
_MOST_STEPS: Final = 1_000


def parse_uuid(answer: Mapping[str, Any]) -> str | None:
    """Return the call_uuid; None if there is none in its form."""
    uuid = answer.get("uuid")
    return uuid.lower() if isinstance(uuid, str) and is_uuid(uuid) else None


def has_steps(answer: Mapping[str, Any]) -> bool:
    """Whether CloudTalk says what the call went through: it may lag."""
    return answer.get("out_of_office") is True or any(_steps(answer))


def parse_analytics(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a missed call: `missed_reason`, `rung`, `resolved_at`, `resolved_by`.

    An answered call has none.
    """
    if answer.get("status") == "answered":
        return {}
    steps = list(_steps(answer))
    found = {"missed_reason": _find_reason(answer, steps), "rung": _find_rung(steps), **_find_resolved(steps)}
    return {fact: value for fact, value in found.items() if value}


def _steps(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from _objects(answer.get("call_steps"))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value[:_MOST_STEPS] if isinstance(item, dict))


def _find_reason(answer: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> str | None:
    """The last queue that missed the call counts, else the last agent. Office hours explain both."""
    if _read(parse_flag, answer.get("out_of_office")):
        return MissedReason.OUT_OF_OFFICE
    for type_, reasons in (("queue", _REASONS), ("agent", _REASONS_OF_AGENT)):
        for step in reversed(steps):
            if step.get("type") == type_ and (reason := _reason_of(step, reasons)) is not None:
                return reason
    kinds = {str(step.get("type")) for step in steps}
    return MissedReason.IN_MENU if "ivr" in kinds and kinds <= {"ivr", "playback"} else None


def _reason_of(step: Mapping[str, Any], reasons: Mapping[str, MissedReason]) -> str | None:
    """Return the reason of a step. One that is not known is kept in CloudTalk's words."""
    word = _read(parse_display_text, step.get("reason"))
    if word is None or step.get("status") == "answered":
        return None
    return reasons.get(word) or word.replace("_", " ")[:LONGEST_NAME]


def _agent_calls(steps: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        if step.get("type") == "agent":
            yield step
        yield from _objects(step.get("agent_calls"))


def _find_rung(steps: list[Mapping[str, Any]]) -> list[list[str | None]]:
    """Return the id and the name of each agent whose phone rang in vain."""
    rung: dict[tuple[str | None, str | None], None] = {}
    for call in _agent_calls(steps):
        agent = _parse_agent(call)
        if call.get("status") == "missed" and agent != (None, None) and _has_rung(call):
            rung[agent] = None
    return [list(agent) for agent in rung][:_MOST_RUNG]


def _has_rung(call: Mapping[str, Any]) -> bool:
    times = call.get("call_times")
    seconds = _read(parse_seconds, times.get("ringing_time")) if isinstance(times, dict) else None
    return bool(seconds) or str(call.get("reason")) in _RANG


def _parse_agent(value: Any) -> tuple[str | None, str | None]:
    if not isinstance(value, dict):
        return None, None
    name = _read(parse_display_text, value.get("name"))
    id_ = _read(parse_numeric_id, value.get("id"))
    return None if id_ == "0" else id_, name and name[:LONGEST_NAME]


def _find_resolved(steps: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return when the first conversation after the missed call was, and with whom."""
    resolved = []
    for step in (*steps, *_agent_calls(steps)):
        call = step.get("resolved_by_call")
        if isinstance(call, dict) and _read(parse_numeric_id, call.get("id")) is not None:
            at = _read(lambda value: parse_instant(value, UTC), call.get("date"))
            if isinstance(at, int):
                resolved.append((at, _parse_agent(call.get("agent"))[1] or ""))
    if not resolved:
        return {}
    at, agent = min(resolved)
    return {"resolved_at": at, "resolved_by": agent or None}


def _read(parse: Callable[[Any], T], value: Any) -> T | None:
    """Return the parsed value; None if it is invalid."""
    try:
        return parse(value)
    except (InvalidValue, InvalidPayload):
        return None
