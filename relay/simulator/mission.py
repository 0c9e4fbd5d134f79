"""The mission's dialect: `{"event": "call.…", "data": {…}}` with one id, and an event for a missed call."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import msgspec

from relay.simulator.expected import format_utc
from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.people import OWN_NUMBERS, Customer, choose_customer


class _Scenario(msgspec.Struct, frozen=True):
    """One way in which a call may go.

    `ended_status` is the status that its Ended event contains, None for no status; `status` and
    `follow_up` are what the record must show. `weight` is the relative frequency.
    """

    weight: int
    direction: str
    events: tuple[str, ...]
    ended_status: str | None
    status: str
    follow_up: bool = False


_SCENARIOS: Final = (
    _Scenario(34, "inbound", ("started", "answered", "ended"), "completed", "completed"),
    _Scenario(10, "inbound", ("started", "missed"), None, "missed", follow_up=True),
    _Scenario(10, "inbound", ("started", "missed", "ended"), "missed", "missed", follow_up=True),
    _Scenario(4, "inbound", ("started", "ended"), "missed", "missed", follow_up=True),
    _Scenario(3, "inbound", ("started", "ended"), None, "completed"),
    _Scenario(2, "inbound", ("started",), None, "in_progress"),
    _Scenario(2, "inbound", ("started", "answered"), None, "answered"),
    _Scenario(20, "outbound", ("started", "answered", "ended"), "completed", "completed"),
    _Scenario(6, "outbound", ("started", "ended"), "missed", "no_answer"),
    _Scenario(3, "outbound", ("started", "missed"), None, "no_answer"),
    _Scenario(2, "outbound", ("started", "answered", "ended"), None, "completed"),
    _Scenario(2, "outbound", ("started",), None, "in_progress"),
    _Scenario(2, "outbound", ("started", "answered"), None, "answered"),
)


def generate_calls(count: int, seed: int, now: datetime, spacing: timedelta) -> list[SimulatedCall]:
    """Generate the calls of a run. The first starts a few seconds before `now`, each further call
    `spacing` later.
    """
    random = Random(seed)  # noqa: S311 - must be repeatable; nothing here is secret
    scenarios = random.choices(_SCENARIOS, [scenario.weight for scenario in _SCENARIOS], k=count)
    return [
        _simulate_call(random, f"sim-{seed:08x}", index, scenario, now + index * spacing)
        for index, scenario in enumerate(scenarios)
    ]


def _simulate_call(random: Random, run: str, index: int, scenario: _Scenario, now: datetime) -> SimulatedCall:
    customer, own_number = choose_customer(random, run, index, "contact-"), random.choice(OWN_NUMBERS)
    inbound = scenario.direction == "inbound"
    # All events are sent at once, and the end that they state may be in the future. So the arrival of an
    # Answered is between the start and the end of its call; otherwise the relay would not use it.
    started = now.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=random.randint(2, 6))
    seconds = random.randint(20, 300) if "answered" in scenario.events else random.randint(15, 45)
    start = {
        "id": f"{run}-{index:06}",
        "direction": scenario.direction,
        "from": customer.number if inbound else own_number,
        "to": own_number if inbound else customer.number,
        "started_at": format_utc(started),
    }
    end = {"duration": seconds, "ended_at": format_utc(started + timedelta(seconds=seconds))}
    return SimulatedCall(
        messages=tuple(Message(_body(kind, scenario, customer, start, end)) for kind in scenario.events),
        expected=_expected(scenario, customer, start, end, own_number),
    )


def _body(kind: str, scenario: _Scenario, customer: Customer, start: Body, end: Body) -> Body:
    has_contact = not (customer.created_during_call and kind == "started")
    data = start | {
        "contact_id": customer.contact_id if has_contact else None,
        "contact_name": customer.contact_name if has_contact else "",
    }
    match kind:
        case "answered":
            data["status"] = "answered"
        case "missed":
            data["status"] = "missed"
            if kind == scenario.events[-1]:  # no later event states the end
                data["ended_at"] = end["ended_at"]
        case "ended":
            data |= end if scenario.ended_status is None else end | {"status": scenario.ended_status}
    return {"event": f"call.{kind}", "data": data}


def _expected(
    scenario: _Scenario, customer: Customer, start: Body, end: Body, own_number: str
) -> dict[str, Any]:
    has_ended = scenario.events[-1] in {"missed", "ended"}
    has_contact = not customer.created_during_call or len(scenario.events) > 1
    return {
        "id": f"cloudtalk-{start['id']}",
        "call_id": start["id"],
        "direction": scenario.direction,
        "status": scenario.status,
        "from": start["from"],
        "to": start["to"],
        "external_number": customer.number,
        "internal_number": own_number,
        "contact_id": customer.contact_id if has_contact else None,
        "contact_name": customer.contact_name if has_contact else None,
        "started_at": start["started_at"],
        "ended_at": end["ended_at"] if has_ended else None,
        "duration_seconds": end["duration"] if has_ended else None,
        "follow_up": scenario.follow_up,
    }
