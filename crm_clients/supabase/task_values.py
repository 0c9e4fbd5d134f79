"""The value of a follow-up task in the layout `kv`, as the mission's CRM reads it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.follow_up import FollowUpRules
from crm_clients.follow_up_tasks import TaskState, digest
from crm_clients.supabase.record import ID_PREFIX, UNKNOWN_NAME
from relay.call import Call
from relay.standards.intervals import format_interval

PREFIX: Final = "tarea:"

STATUS: Final = "estado"
OPEN_STATUS: Final = "Pendiente"
DONE_STATUS: Final = "Completada"
_TEXT, _PRIORITY = "descripcion", "prioridad"
_URGENT, _NORMAL = "Alta", "Media"
_WHOLE: Final = ""
"""The name of the digest of the whole value."""

_DONE_BY: Final = "tarea completada por CloudTalk Relay."
_ANSWERED: Final = f"\nLa llamada fue atendida después: {_DONE_BY}"
_CALLED_BACK: Final = f"\nSe habló con el cliente {{after}} después{{agent}}: {_DONE_BY}"

Value = Mapping[str, Any]


def id_of(key: str, round_: int = 1) -> str:
    """Return the id of a task: number and day, or the id of the call.

    `round_`: 1 for the first task of a day.
    """
    id_ = f"{ID_PREFIX}{key[1:].replace(':', '-')}" if key.startswith("+") else key
    return id_ if round_ == 1 else f"{id_}-{round_}"


def build_task(
    state: TaskState, call: Call, customer: tuple[Any, Any], timezone: ZoneInfo, rules: FollowUpRules
) -> dict[str, Any]:
    """Build a new task. `call`: one of its calls. `customer`: id and name, as in the call's record."""
    id_, name = customer
    number = call.external_number or UNKNOWN_NAME
    first = min(each.local_time(timezone) for each in state.shown_calls())
    return {
        "id": state.id,
        "clienteId": id_,
        "clienteNombre": name,
        "titulo": f"Devolver llamada a {number if name == UNKNOWN_NAME else name}",
        **_fields_of_calls(state, call, timezone),
        "fechaVencimiento": f"{rules.due_at(first).astimezone(timezone):%Y-%m-%d}",
        STATUS: OPEN_STATUS,
        "tipo": "Llamada",
    }


def refreshed_task(state: TaskState, existing: Value, call: Call, timezone: ZoneInfo) -> dict[str, Any]:
    """Return the task with the text and the priority of its calls. What a person changed in it stays."""
    if existing.get(STATUS) == DONE_STATUS or not state.shown_calls():
        return dict(existing)
    fields = _fields_of_calls(state, call, timezone)
    own = {
        name: value
        for name, value in fields.items()
        if state.digests.get(name) == digest(str(existing.get(name)))
    }
    return {**existing, **own}


def completed_task(state: TaskState, existing: Value, calls: Iterable[Call]) -> dict[str, Any]:
    """Return the task as done, with a remark why nobody needs to call back any more."""
    return {
        **existing,
        STATUS: DONE_STATUS,
        _TEXT: f"{existing[_TEXT]}{_remark(state, calls)}",
    }


def is_untouched(state: TaskState, existing: Any) -> bool:
    """Whether the task is as the relay wrote it last."""
    return isinstance(existing, dict) and state.digests == digests_of(existing)


def digests_of(value: Value) -> dict[str, str]:
    """Return the digests of the whole task, and of the fields that follow its calls."""
    whole = msgspec.json.encode(value, order="sorted").decode()
    return {_WHOLE: digest(whole), **{name: digest(str(value.get(name))) for name in (_TEXT, _PRIORITY)}}


def digests_after(state: TaskState, existing: Value, written: Value) -> dict[str, str]:
    """Return the digests after a refresh. A task that a person has touched stays touched."""
    after = digests_of(written)
    if is_untouched(state, existing):
        return after
    return {
        name: after[name] if name != _WHOLE and written.get(name) != existing.get(name) else value
        for name, value in state.digests.items()
    }


def _fields_of_calls(state: TaskState, call: Call, timezone: ZoneInfo) -> dict[str, str]:
    """Repeated calls raise the priority."""
    times = [each.local_time(timezone) for each in state.shown_calls()]
    number = call.external_number or UNKNOWN_NAME
    if state.is_often():
        clocks = ", ".join(f"{time:%H:%M}" for time in times)
        text = f"{len(times)} llamadas perdidas de {number}, {times[0]:%d/%m/%Y}: {clocks}"
    else:
        text = f"Llamada perdida de {number}, {times[0]:%d/%m/%Y %H:%M}"
    return {_TEXT: text, _PRIORITY: _URGENT if state.is_often() else _NORMAL}


def _remark(state: TaskState, calls: Iterable[Call]) -> str:
    wait = state.wait(calls)
    if wait is None:
        return _ANSWERED
    agent = f" (agente: {wait.agent})" if wait.agent else ""
    return _CALLED_BACK.format(after=format_interval(wait.seconds), agent=agent)
