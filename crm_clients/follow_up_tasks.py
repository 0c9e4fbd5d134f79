"""The follow-up task of one customer and day, as a client remembers it. Pure, but for the client state.

All missed calls of a number on one day share a task, so that two people do not call the same customer. The
state of the task says which calls it is for, so it is completed when the last of them is settled, in any
order. If the customer calls again after the task was closed, a new round begins, with a task of its own.
"""

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import ClientState
from crm_clients.follow_up import FollowUpRules
from relay.call import Call, Status, is_missed
from relay.standards.phones import is_dialable

_OFTEN: Final = 2
"""So many missed calls of one day share a text that says how often the customer called."""


MOST_ROUNDS: Final = 50
"""A customer whose task was closed more often on one day is hardly a person."""

DELETED: Final = math.inf
"""When a person closed a task by deleting it: they want no task for this customer on that day."""


class MissedOnce(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the text of a task says about one of its calls. Instants are Unix seconds.

    `called`: the team's number. `called_back_at`: when somebody talked to the customer after it. `answered`:
    the call proved not to be missed.
    """

    began_at: int
    voicemail: bool = False
    called: str | None = None
    round: int = 1
    called_back_at: int | None = None
    answered: bool = False

    def local_time(self, timezone: ZoneInfo) -> datetime:
        """When the call began, in the team's time zone."""
        return datetime.fromtimestamp(self.began_at, UTC).astimezone(timezone)


class CallBackDelay(NamedTuple):
    """Whole seconds from the first missed call to the conversation, and the agent if known."""

    seconds: int
    agent: str | None


class TaskState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task: its id in the CRM, the ids of the calls that still need it, and what the relay wrote.

    `missed`: all calls of this customer and day, by id. `digests`: of what the relay wrote, by field.
    `completed`: the relay has completed the task.
    """

    id: str
    calls: list[str]
    missed: dict[str, MissedOnce] = {}
    digests: dict[str, str] = {}
    round: int = 1
    completed: bool = False

    def join(
        self, missed: Mapping[str, MissedOnce], *, closed: bool = False, closed_at: float | None = None
    ) -> "TaskState":
        """Return the state with these calls, which need a task. Without an id it is that of a new task.

        `closed`: a person has completed the task, at `closed_at` if that is known, or has deleted it
        (`DELETED`). Calls that were missed later need another task; so do all calls if the relay has
        completed the task, because it does so only if none of its calls needs it.
        """
        if not missed:
            return self
        if self.completed:
            return _begin_round(self, missed)
        later = {
            id_: each
            for id_, each in missed.items()
            if closed and id_ not in self.missed and (closed_at is None or each.began_at > closed_at)
        }
        others = {
            id_: each
            for id_, each in missed.items()
            if id_ not in later and (id_ not in self.missed or self.missed[id_].round == self.round)
        }
        state = _add(self, others, needed=not closed)
        return _begin_round(state, later) if later else state

    def settle(self, calls: Iterable[Call]) -> "TaskState":
        """Return the state after these calls need no task any more."""
        settled = {call.id: call for call in calls}
        missed = {
            id_: _settled(each, settled[id_]) if id_ in settled else each for id_, each in self.missed.items()
        }
        left = [id_ for id_ in self.calls if id_ not in settled]
        return msgspec.structs.replace(self, calls=left, missed=missed)

    def forget(self, call_ids: Collection[str]) -> "TaskState":
        """Return the state without these calls. If no other call needs the task, the next begins a round."""
        calls = [id_ for id_ in self.calls if id_ not in call_ids]
        missed = {id_: each for id_, each in self.missed.items() if id_ not in call_ids}
        is_over = self.completed or (not calls and len(missed) < len(self.missed))
        return msgspec.structs.replace(self, calls=calls, missed=missed, completed=is_over)

    def rounds_to_delete(self, call_ids: Collection[str]) -> Collection[int]:
        """Return the rounds whose tasks name these calls and are needed by no other one."""
        rounds = {each.round for id_, each in self.missed.items() if id_ in call_ids}
        forgotten = self.forget(call_ids)
        if not forgotten.missed:
            return range(1, self.round + 1)
        return rounds - {self.round} if forgotten.calls else rounds

    def replace_call(self, call_id: str, new_id: str) -> "TaskState":
        """Return the state with another id for a call that became part of another one.

        If the task knows that other call, it stays as it is: somebody may have called back after it.
        """
        if new_id in self.missed:
            calls = [id_ for id_ in self.calls if id_ != call_id]
            missed = {id_: each for id_, each in self.missed.items() if id_ != call_id}
        else:
            calls = [new_id if id_ == call_id else id_ for id_ in self.calls]
            missed = {new_id if id_ == call_id else id_: each for id_, each in self.missed.items()}
        return msgspec.structs.replace(self, calls=calls, missed=missed)

    def shown_calls(self) -> list[MissedOnce]:
        """Return the calls that the text of the task names, by time.

        A call that was called back before the next one was missed is done with.
        """
        left = [self.missed[id_].began_at for id_ in self.calls if id_ in self.missed]
        newest = max(left, default=0)
        return sorted(
            (
                each
                for each in self.missed.values()
                if each.round == self.round
                and not each.answered
                and (each.called_back_at is None or each.called_back_at >= newest)
            ),
            key=lambda each: each.began_at,
        )

    def is_often(self) -> bool:
        """Whether the customer has called repeatedly. In HubSpot this makes the task urgent."""
        return len(self.shown_calls()) >= _OFTEN

    def wait(self, calls: Iterable[Call]) -> CallBackDelay | None:
        """Return how long the customer waited for the last conversation, and with which agent it was.

        `calls`: those that were settled last. None: nobody has talked to the customer since.
        """
        shown = [each for each in self.shown_calls() if each.called_back_at is not None]
        last = max((each.called_back_at or 0 for each in shown), default=None)
        if last is None:
            return None
        first = min(each.began_at for each in shown if each.called_back_at == last)
        agents = (call.called_back_by for call in calls if _seconds(call.called_back_at) == last)
        return CallBackDelay(max(last - first, 0), next((agent for agent in agents if agent), None))


def _add(state: TaskState, missed: Mapping[str, MissedOnce], *, needed: bool = True) -> TaskState:
    added = {id_: msgspec.structs.replace(each, round=state.round) for id_, each in missed.items()}
    calls = list(dict.fromkeys([*state.calls, *missed])) if needed else state.calls
    return msgspec.structs.replace(state, calls=calls, missed=state.missed | added)


def _begin_round(state: TaskState, missed: Mapping[str, MissedOnce]) -> TaskState:
    return _add(TaskState("", [], state.missed, round=state.round + 1), missed)


def _settled(missed: MissedOnce, call: Call) -> MissedOnce:
    return msgspec.structs.replace(
        missed, called_back_at=_seconds(call.called_back_at), answered=not is_missed(call)
    )


def _seconds(time: str | None) -> int | None:
    return None if time is None else int(datetime.fromisoformat(time).timestamp())


def missed_by_id(calls: Iterable[Call], rules: FollowUpRules) -> dict[str, MissedOnce]:
    """Return by id what the text of a task says about these calls."""
    return {
        call.id: MissedOnce(
            int(rules.missed_at(call).timestamp()), call.status is Status.VOICEMAIL, call.internal_number
        )
        for call in calls
    }


def task_key(call: Call, timezone: ZoneInfo, rules: FollowUpRules) -> str:
    """Return the key of a task: number and day of the call in the team's time zone, or the call's id.

    People who cannot be called back do not share a task, since nothing shows that they are one person.
    """
    if not is_dialable(call.external_number):
        return call.id
    return f"{call.external_number}:{rules.missed_at(call).astimezone(timezone):%Y-%m-%d}"


def group_by_key(
    calls: Iterable[Call], timezone: ZoneInfo, rules: FollowUpRules
) -> dict[str, dict[str, Call]]:
    """Return the calls by the key of their task, and then by id."""
    by_key: dict[str, dict[str, Call]] = {}
    for call in calls:
        by_key.setdefault(task_key(call, timezone, rules), {})[call.id] = call
    return by_key


def rounds_to_forget(key: str, state: TaskState | None, call_ids: Collection[str]) -> Collection[int]:
    """Return the rounds whose tasks are deleted when these calls are forgotten.

    `relay forget` deletes the states of a number first: then each round that there may be.
    """
    if state is not None:
        return state.rounds_to_delete(call_ids)
    return range(1, MOST_ROUNDS + 1) if is_dialable(key.partition(":")[0]) else (1,)


def digest(value: str) -> str:
    """SHA-256: it shows a change, and keeps no text of the task in the client state."""
    return hashlib.sha256(value.encode()).hexdigest()


class TaskStates:
    """Task states in the client state, by task key. A key contains the customer's number."""

    def __init__(self, state: ClientState) -> None:
        self._state = state

    async def get_many(self, keys: Collection[str]) -> dict[str, TaskState]:
        """Return the stored states; a task that the relay did not create has none."""
        names = {_state_key(key): key for key in keys}
        stored = await self._state.get_many(names)
        return {names[name]: msgspec.json.decode(text, type=TaskState) for name, text in stored.items()}

    async def set_many(self, states: Mapping[str, TaskState]) -> None:
        encoded = {_state_key(key): msgspec.json.encode(state).decode() for key, state in states.items()}
        await self._state.set_many(encoded)

    async def delete_many(self, keys: Collection[str]) -> None:
        await self._state.set_many({_state_key(key): None for key in keys})


def _state_key(key: str) -> str:
    return f"task:{key}"
