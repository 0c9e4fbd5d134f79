"""How one call went, whoever tells it: the same story can be told in any of CloudTalk's own dialects.

Moments are seconds since the call's start; a teller turns them into whatever its dialect writes.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from relay.simulator.message import Message
from relay.simulator.people import AGENTS, OWN_NUMBERS, Agent, Customer, customer

Timed = tuple[float, Message]
"""A message, and when CloudTalk would send it: in seconds since the call's start."""

_AFTERMATH: Final = 300
"""Seconds within which all that follows a call has come: recording, transcript, edits of its tags."""

_EDITS: Final = (
    (),
    (),
    ("venta",),
    ("venta", "venta,queja"),
    ("venta", "venta,queja", "venta"),
)
"""Tags after each edit. The last of these takes one away again."""


class Course(msgspec.Struct, frozen=True):
    """How a call may go, and the `status` and `follow_up` that its record must show."""

    weight: int
    direction: str
    status: str
    ended: bool = True
    answered: bool = False
    voicemail: bool = False
    follow_up: bool = False


COURSES: Final = (
    Course(36, "inbound", "completed", answered=True),
    Course(14, "inbound", "missed", follow_up=True),
    Course(7, "inbound", "voicemail", voicemail=True, follow_up=True),
    Course(3, "inbound", "in_progress", ended=False),
    Course(3, "inbound", "answered", ended=False, answered=True),
    Course(22, "outbound", "completed", answered=True),
    Course(10, "outbound", "no_answer"),
    Course(2, "outbound", "in_progress", ended=False),
    Course(3, "outbound", "answered", ended=False, answered=True),
)


class Story(msgspec.Struct, frozen=True):
    """One call. `rung` are the agents whose phones rang, of whom the last one answered where one did;
    `message` is how long a voicemail is; `edits` are the tags after each edit of them, with its moment.
    `recorded` and `transcribed` are the moments at which those were ready, None where they never are.
    """

    course: Course
    uuid: str
    call_id: int
    customer: Customer
    own: str
    started: datetime
    rung: tuple[Agent, ...]
    agent: Agent | None
    waiting: int
    talking: int
    message: int
    wrapup: int
    edits: tuple[tuple[float, str], ...]
    recorded: float | None
    transcribed: float | None

    @property
    def over(self) -> int:
        """When somebody hung up."""
        return self.waiting + self.talking + self.message

    @property
    def wrapped_up(self) -> int:
        """When the agent was done with it, which is when CloudTalk says that it ended."""
        return self.over + self.wrapup

    def at(self, moment: float) -> datetime:
        """The time of day of a moment."""
        return self.started + timedelta(seconds=moment)

    def tags_at(self, moment: float) -> str | None:
        """The tags that the call bore at this moment."""
        return next((tags for when, tags in reversed(self.edits) if when < moment), None)


def story_of(run: str, index: int, now: datetime, fits: Callable[[Course], bool]) -> Story:
    """The call of this place in a run, of which the name tells it from others: one of the courses that fit.

    One that is over has ended minutes before `now`, so that nothing said of it lies in the future.
    """
    random = Random(f"{run}:{index}")  # noqa: S311 - repeatable is the point, secret is not
    courses = [course for course in COURSES if fits(course)]
    course = random.choices(courses, [course.weight for course in courses])[0]
    waiting, talking, message, wrapup = _lengths(course, random)
    over = waiting + talking + message
    elapsed = over + wrapup + _AFTERMATH if course.ended else waiting + random.randint(2, 6)
    rung = tuple(random.sample(AGENTS, random.randint(1, 3)))
    recorded = _recorded(course, over, wrapup, random)
    return Story(
        course=course,
        uuid=str(UUID(int=random.getrandbits(128), version=4)),
        call_id=_call_id(run, index),
        customer=customer(random, "1451"),
        own=random.choice(OWN_NUMBERS),
        started=now.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=elapsed),
        rung=rung if course.direction == "inbound" else (),
        agent=rung[-1] if course.answered or course.direction == "outbound" else None,
        waiting=waiting,
        talking=talking,
        message=message,
        wrapup=wrapup,
        edits=_edits(waiting, over + wrapup, random) if course.ended else (),
        recorded=recorded,
        transcribed=_transcribed(recorded, random),
    )


def _call_id(run: str, index: int) -> int:
    """Like CloudTalk's, from 10⁹ to 10¹⁰; two calls of one run never share one."""
    block = Random(run).randrange(8_000_000)  # noqa: S311 - as above
    return 1_000_000_000 + block * 1_000 + index


def _lengths(course: Course, random: Random) -> tuple[int, int, int, int]:
    """Seconds of waiting, talking, voicemail and wrap-up; nobody wraps up what nobody answered."""
    waiting = random.randint(3, 30)
    if course.answered:
        return waiting, random.randint(20, 300), 0, random.randint(5, 120)
    return waiting, 0, random.randint(5, 40) if course.voicemail else 0, 0


def _recorded(course: Course, over: int, wrapup: int, random: Random) -> float | None:
    """Real recordings were ready 1-12 s before or 3-11 s after CloudTalk said that the call had ended."""
    if not course.ended or not (course.answered or course.voicemail):
        return None
    early = min(12, wrapup - 1)
    before = early > 1 and random.random() < 0.5  # noqa: PLR2004 - a coin
    return over + wrapup + (-random.uniform(1, early) if before else random.uniform(3, 11))


def _transcribed(recorded: float | None, random: Random) -> float | None:
    """Four in ten recordings, half a minute later."""
    if recorded is None or random.random() > 0.4:  # noqa: PLR2004 - as said above
        return None
    return recorded + random.uniform(20, 60)


def _edits(begin: float, end: float, random: Random) -> tuple[tuple[float, str], ...]:
    """During the call and after it."""
    tags = random.choice(_EDITS)
    moments = sorted(random.uniform(begin, end + 60) for _ in tags)
    return tuple(zip(moments, tags, strict=True))
