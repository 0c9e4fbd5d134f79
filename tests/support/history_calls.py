"""Calls as CloudTalk's history has them, and the events that announced them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tests.support.history import make_row

OWN_NUMBER: Final = "+34910000000"


class PastCall(NamedTuple):
    """An inbound call. `talking`: seconds, 0 for a missed one."""

    number: int
    started_at: datetime
    external: str
    talking: int

    @property
    def call_id(self) -> str:
        return str(1_000_000_000 + self.number)

    @property
    def call_uuid(self) -> str:
        return f"44fe27cd-5268-4670-993e-{self.number:012d}"

    @property
    def ended_at(self) -> datetime:
        return self.started_at + timedelta(seconds=9 + self.talking)

    def row(self) -> dict[str, Any]:
        """The row of CloudTalk's list of calls."""
        answered_at = self.started_at + timedelta(seconds=9) if self.talking else None
        return make_row(
            self.call_id,
            billsec=str(9 + self.talking),
            talking_time=str(self.talking),
            public_external=self.external,
            public_internal=OWN_NUMBER,
            started_at=self.started_at.isoformat(),
            answered_at=None if answered_at is None else answered_at.isoformat(),
            ended_at=self.ended_at.isoformat(),
            Contact={"id": str(5_000 + self.number), "name": f"Contact {self.number}"},
            Notes=[],
            Tags=[],
        )

    def ended(self, *ids: str) -> dict[str, Any]:
        """The Ended of a workflow with these of its ids: `call_id`, `call_uuid`."""
        return {
            "event": "call_ended",
            **{name: getattr(self, name) for name in ids},
            "external_number": self.external,
            "internal_number": OWN_NUMBER,
            "direction": "incoming",
            "started_at": _write(self.started_at),
            "ended_at": _write(self.ended_at),
            "talking_time": self.talking,
            "agent_first_name": "Ana",
            "tags": f"tag-{self.number}",
        }

    def started(self) -> dict[str, Any]:
        """The Started of a workflow."""
        return {
            "event": "call_started",
            "call_uuid": self.call_uuid,
            "external_number": self.external,
            "internal_number": OWN_NUMBER,
            "direction": "incoming",
            "started_at": _write(self.started_at),
        }


def past_calls(count: int, newest_at: datetime, *, seconds_apart: int, people: int) -> list[PastCall]:
    """Make calls, the newest first. Every person calls from one number; every fourth call is missed."""
    newest = newest_at.replace(microsecond=0)
    return [
        PastCall(
            number,
            newest - timedelta(seconds=number * seconds_apart),
            f"+34600{number % people:06d}",
            0 if number % 4 == 0 else 20 + number % 60,
        )
        for number in range(count)
    ]


def _write(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
