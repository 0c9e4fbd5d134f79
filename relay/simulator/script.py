"""Scripts: one concrete call with its people and times, from which each dialect builds its messages.

An *offset* is a number of seconds since the call's start.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from relay.simulator.people import AGENTS, OWN_NUMBERS, Agent, Customer, choose_customer
from relay.simulator.scenario import SCENARIOS, Scenario

_AFTER_CALL_SECONDS: Final = 300
"""Everything that follows a call (recording, transcript, edits of tags) is sent within this time."""

_TAG_EDITS: Final = (
    (),
    (),
    ("venta",),
    ("venta", "venta,queja"),
    ("venta", "venta,queja", "venta"),
)
"""The tags after each edit. In the last sequence an edit removes a tag again."""


class CallScript(msgspec.Struct, frozen=True):
    """One call from start to end. Lengths are whole seconds.

    `agents_rung` are the agents whose phones rang; if the call was answered, the last one answered.
    `tag_edits` are pairs of offset and tags. `recorded` and `transcribed` are the offsets at which the
    recording and the transcript are ready, None if there is none.
    """

    scenario: Scenario
    uuid: str
    call_id: int
    customer: Customer
    own_number: str
    started_at: datetime
    agents_rung: tuple[Agent, ...]
    agent: Agent | None
    waiting: int
    talking: int
    voicemail: int
    wrapup: int
    tag_edits: tuple[tuple[float, str], ...]
    recorded: float | None
    transcribed: float | None

    @property
    def hung_up(self) -> int:
        """The offset at which the call was hung up."""
        return self.waiting + self.talking + self.voicemail

    @property
    def wrapped_up(self) -> int:
        """The offset at which the agent finished the wrap-up. Only then CloudTalk sends Call Ended."""
        return self.hung_up + self.wrapup

    @property
    def caller_and_callee(self) -> tuple[str, str]:
        """The numbers `from` and `to`."""
        numbers = self.customer.number, self.own_number
        return numbers if self.scenario.inbound else numbers[::-1]

    def time_at(self, offset: float) -> datetime:
        return self.started_at + timedelta(seconds=offset)

    def tags_at(self, offset: float) -> str | None:
        """Return the tags of the last edit before this offset, None before the first edit."""
        return next((tags for edited, tags in reversed(self.tag_edits) if edited < offset), None)


def generate_script(run: str, index: int, now: datetime, supports: Callable[[Scenario], bool]) -> CallScript:
    """Generate the call number `index` of the run named `run`, from one of the supported scenarios.

    The same arguments give the same call. A call that has ended did so minutes before `now`, so that
    none of its events has a time in the future.
    """
    random = Random(f"{run}:{index}")  # noqa: S311 - must be repeatable; nothing here is secret
    scenarios = [scenario for scenario in SCENARIOS if supports(scenario)]
    scenario = random.choices(scenarios, [scenario.weight for scenario in scenarios])[0]
    waiting, talking, voicemail, wrapup = _choose_lengths(scenario, random)
    ended = waiting + talking + voicemail
    elapsed = ended + wrapup + _AFTER_CALL_SECONDS if scenario.ended else waiting + random.randint(2, 6)
    agents_rung = tuple(random.sample(AGENTS, random.randint(1, 3)))
    recorded = _choose_recorded(scenario, ended, wrapup, random)
    return CallScript(
        scenario=scenario,
        uuid=str(UUID(int=random.getrandbits(128), version=4)),
        call_id=_call_id(run, index),
        customer=choose_customer(random, run, index, "1451"),
        own_number=random.choice(OWN_NUMBERS),
        started_at=now.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=elapsed),
        agents_rung=agents_rung if scenario.inbound else (),
        agent=agents_rung[-1] if scenario.answered or not scenario.inbound else None,
        waiting=waiting,
        talking=talking,
        voicemail=voicemail,
        wrapup=wrapup,
        tag_edits=_choose_tag_edits(waiting, ended + wrapup, random) if scenario.ended else (),
        recorded=recorded,
        transcribed=_choose_transcribed(recorded, random),
    )


def _call_id(run: str, index: int) -> int:
    """Return an id from 10⁹ to 10¹⁰, as CloudTalk's are, unique within its run."""
    block = Random(run).randrange(8_000_000)  # noqa: S311 - must be repeatable
    return 1_000_000_000 + block * 1_000 + index


def _choose_lengths(scenario: Scenario, random: Random) -> tuple[int, int, int, int]:
    """Choose the seconds of waiting, talking, voicemail and wrap-up. Only answered calls have a wrap-up."""
    waiting = random.randint(3, 30)
    if scenario.answered:
        return waiting, random.randint(20, 300), 0, random.randint(5, 120)
    return waiting, 0, random.randint(5, 40) if scenario.voicemail else 0, 0


def _choose_recorded(scenario: Scenario, ended: int, wrapup: int, random: Random) -> float | None:
    """Choose when the recording is ready: with real calls, 1-12 s before Call Ended or 3-11 s after it."""
    if not scenario.ended or not (scenario.answered or scenario.voicemail):
        return None
    latest = min(12, wrapup - 1)
    before = latest > 1 and random.random() < 0.5  # noqa: PLR2004 - half of them
    return ended + wrapup + (-random.uniform(1, latest) if before else random.uniform(3, 11))


def _choose_transcribed(recorded: float | None, random: Random) -> float | None:
    """Choose when the transcript is ready: 20-60 s after the recording, for 40 % of the recordings."""
    if recorded is None or random.random() > 0.4:  # noqa: PLR2004 - see the docstring
        return None
    return recorded + random.uniform(20, 60)


def _choose_tag_edits(begin: float, end: float, random: Random) -> tuple[tuple[float, str], ...]:
    """Choose edits of the tags during the call and in the minute after it."""
    tags = random.choice(_TAG_EDITS)
    offsets = sorted(random.uniform(begin, end + 60) for _ in tags)
    return tuple(zip(offsets, tags, strict=True))
