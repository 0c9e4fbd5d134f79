"""The mission's dialect: `{"event": "call.…", "data": {…}}` with one id, and an event for a missed call."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import msgspec

from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.people import OWN_NUMBERS, Customer, customer


class _Plot(msgspec.Struct, frozen=True):
    """How a call may go. `says` is the status that its end bears; `status` and `follow_up` are what
    its record must show.
    """

    weight: int
    direction: str
    events: tuple[str, ...]
    says: str | None
    status: str
    follow_up: bool = False


_PLOTS: Final = (
    _Plot(34, "inbound", ("started", "answered", "ended"), "completed", "completed"),
    _Plot(10, "inbound", ("started", "missed"), None, "missed", follow_up=True),
    _Plot(10, "inbound", ("started", "missed", "ended"), "missed", "missed", follow_up=True),
    _Plot(4, "inbound", ("started", "ended"), "missed", "missed", follow_up=True),
    _Plot(3, "inbound", ("started", "ended"), None, "completed"),
    _Plot(2, "inbound", ("started",), None, "in_progress"),
    _Plot(2, "inbound", ("started", "answered"), None, "answered"),
    _Plot(20, "outbound", ("started", "answered", "ended"), "completed", "completed"),
    _Plot(6, "outbound", ("started", "ended"), "missed", "no_answer"),
    _Plot(3, "outbound", ("started", "missed"), None, "no_answer"),
    _Plot(2, "outbound", ("started", "answered", "ended"), None, "completed"),
    _Plot(2, "outbound", ("started",), None, "in_progress"),
    _Plot(2, "outbound", ("started", "answered"), None, "answered"),
)


def calls_of(calls: int, seed: int, now: datetime, spacing: timedelta) -> list[SimulatedCall]:
    """The calls of a run. The first one rings a few seconds before `now`, each further one `spacing`
    later.
    """
    random = Random(seed)  # noqa: S311 - repeatable is the point, secret is not
    plots = random.choices(_PLOTS, [plot.weight for plot in _PLOTS], k=calls)
    return [
        _call(random, f"sim-{seed:08x}-{index:06}", plot, now + index * spacing)
        for index, plot in enumerate(plots)
    ]


def _call(random: Random, name: str, plot: _Plot, now: datetime) -> SimulatedCall:
    who, own = customer(random, "contact-"), random.choice(OWN_NUMBERS)
    caller, callee = (who.number, own) if plot.direction == "inbound" else (own, who.number)
    # Time is compressed: events follow one another at once, and the end that they tell may lie in
    # the future. So the moment at which an Answered arrives lies within its call, as it must to count.
    started = now.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=random.randint(2, 6))
    seconds = random.randint(20, 300) if "answered" in plot.events else random.randint(15, 45)
    base = {
        "id": name,
        "direction": plot.direction,
        "from": caller,
        "to": callee,
        "started_at": _iso(started),
    }
    over = {"duration": seconds, "ended_at": _iso(started + timedelta(seconds=seconds))}
    return SimulatedCall(
        messages=tuple(Message(_body(kind, plot, who, base, over)) for kind in plot.events),
        expected=_expected(plot, who, base, over, own),
    )


def _body(kind: str, plot: _Plot, who: Customer, base: Body, over: Body) -> Body:
    known = not (who.late and kind == "started")
    data = base | {
        "contact_id": who.contact_id if known else None,
        "contact_name": who.contact_name if known else "",
    }
    match kind:
        case "answered":
            data["status"] = "answered"
        case "missed":
            data["status"] = "missed"
            if kind == plot.events[-1]:  # nothing else will say when it ended
                data["ended_at"] = over["ended_at"]
        case "ended":
            data |= over if plot.says is None else over | {"status": plot.says}
    return {"event": f"call.{kind}", "data": data}


def _expected(plot: _Plot, who: Customer, base: Body, over: Body, own: str) -> dict[str, Any]:
    is_over = plot.events[-1] in {"missed", "ended"}
    known = not who.late or len(plot.events) > 1
    return {
        "id": f"cloudtalk-{base['id']}",
        "call_id": base["id"],
        "direction": plot.direction,
        "status": plot.status,
        "from": base["from"],
        "to": base["to"],
        "external_number": who.number,
        "internal_number": own,
        "contact_id": who.contact_id if known else None,
        "contact_name": who.contact_name if known else None,
        "started_at": base["started_at"],
        "ended_at": over["ended_at"] if is_over else None,
        "duration_seconds": over["duration"] if is_over else None,
        "follow_up": plot.follow_up,
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
