"""The value of a follow-up task in the layout `kv`, as the mission's CRM reads it.

In that CRM each missed call has the highest priority. So repeated calls change the text alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.follow_up import FollowUpRules
from crm_clients.follow_up_tasks import TaskState, digest
from crm_clients.supabase.record import UNKNOWN_NAME
from relay.call import Call
from relay.standards.intervals import format_interval

PREFIX: Final = "tarea:"

STATUS: Final = "estado"
OPEN_STATUS: Final = "Pendiente"
DONE_STATUS: Final = "Completada"
_TEXT: Final = "descripcion"
_WHOLE: Final = ""
"""The name of the digest of the whole value."""

_DONE_BY: Final = "tarea completada por CloudTalk Relay."
_ANSWERED: Final = f"\nLa llamada fue atendida después: {_DONE_BY}"
_CALLED_BACK: Final = f"\nSe habló con el cliente {{after}} después{{agent}}: {_DONE_BY}"

Value = Mapping[str, Any]


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
        _TEXT: _describe(state, call, timezone),
        "prioridad": "Alta",
        "fechaVencimiento": f"{rules.due_at(first).astimezone(timezone):%Y-%m-%d}",
        STATUS: OPEN_STATUS,
        "tipo": "Llamada",
    }


def refreshed_task(state: TaskState, existing: Value, call: Call, timezone: ZoneInfo) -> dict[str, Any]:
    """Return the task with the text of its calls. A text that a person changed stays."""
    is_own = state.digests.get(_TEXT) == digest(str(existing.get(_TEXT)))
    if not is_own or existing.get(STATUS) == DONE_STATUS or not state.shown_calls():
        return dict(existing)
    return {**existing, _TEXT: _describe(state, call, timezone)}


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


def is_completed_as_written(state: TaskState, existing: Any) -> bool:
    """Whether the relay completed the task, and nobody has changed it since."""
    if not isinstance(existing, dict):
        return False
    text, _, remark = str(existing.get(_TEXT)).rpartition("\n")
    before = {**existing, STATUS: OPEN_STATUS, _TEXT: text}
    return remark.endswith(_DONE_BY) and is_untouched(state, before)


def digests_of(value: Value) -> dict[str, str]:
    """Return the digests of the whole task, and of the text, which follows its calls."""
    whole = msgspec.json.encode(value, order="sorted").decode()
    return {_WHOLE: digest(whole), _TEXT: digest(str(value.get(_TEXT)))}


def digests_after(state: TaskState, existing: Value, written: Value) -> dict[str, str]:
    """Return the digests after a refresh. A task that a person has touched stays touched."""
    after = digests_of(written)
    if is_untouched(state, existing):
        return after
    return {
        name: after[name] if name != _WHOLE and written.get(name) != existing.get(name) else value
        for name, value in state.digests.items()
    }


def _describe(state: TaskState, call: Call, timezone: ZoneInfo) -> str:
    """Say how often the customer called, and when."""
    times = [each.local_time(timezone) for each in state.shown_calls()]
    number = call.external_number or UNKNOWN_NAME
    if not state.is_often():
        return f"Llamada perdida de {number}, {times[0]:%d/%m/%Y %H:%M}"
    clocks = ", ".join(f"{time:%H:%M}" for time in times)
    return f"{len(times)} llamadas perdidas de {number}, {times[0]:%d/%m/%Y}: {clocks}"


def _remark(state: TaskState, calls: Iterable[Call]) -> str:
    wait = state.wait(calls)
    if wait is None:
        return _ANSWERED
    agent = f" (agente: {wait.agent})" if wait.agent else ""
    return _CALLED_BACK.format(after=format_interval(wait.seconds), agent=agent)
