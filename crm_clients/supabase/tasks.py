"""Follow-up tasks in the layout `kv`: one `tarea:` value of the CRM for each call to follow up."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm_clients.base import Push
from crm_clients.supabase.record import UNKNOWN_ID, UNKNOWN_NAME
from relay.call import Call, seconds_to_call_back
from relay.standards.intervals import format_interval

PREFIX: Final = "tarea:"

OPEN_STATUS: Final = "Pendiente"
_DONE_STATUS: Final = "Completada"
_TIME_FORMAT: Final = "%d/%m/%Y %H:%M"
_TIME_LENGTH: Final = len("28/11/2024 23:30")
_DONE_BY: Final = "tarea completada por CloudTalk Relay."
_ANSWERED: Final = f"\nLa llamada fue atendida después: {_DONE_BY}"
_CALLED_BACK: Final = f"\nSe habló con el cliente {{after}} después{{agent}}: {_DONE_BY}"


def may_change_task(push: Push) -> bool:
    """Whether this push may create or complete a task.

    A push of other fields, as a recording, must not restore a task that a person deleted.
    """
    return "follow_up" in push.changed


def updated_task(
    call: Call, existing: Any, customer: tuple[Any, Any], timezone: ZoneInfo
) -> dict[str, Any] | None:
    """Return the task to write: a new one, or an untouched one marked as done. None: write nothing.

    `existing`: the value under the task's key. `customer`: id and name, as in the call's record.
    """
    if call.follow_up:
        if existing is not None:
            return None
        return build_task(call, customer, _call_time(call).astimezone(timezone))
    if not isinstance(existing, dict) or not _is_untouched(call, existing):
        return None
    return {
        **existing,
        "estado": _DONE_STATUS,
        "descripcion": f"{existing['descripcion']}{_remark(call)}",
    }


def _remark(call: Call) -> str:
    """Why nobody needs to call back any more."""
    seconds = seconds_to_call_back(call)
    if seconds is None:
        return _ANSWERED
    agent = f" (agente: {call.called_back_by})" if call.called_back_by else ""
    return _CALLED_BACK.format(after=format_interval(seconds), agent=agent)


def build_task(call: Call, customer: tuple[Any, Any], called_at: datetime) -> dict[str, Any]:
    """Build a new task, due on the day of the call. `called_at` is in the team's time zone."""
    id_, name = customer
    number = call.external_number or UNKNOWN_NAME
    return {
        "id": call.id,
        "clienteId": id_,
        "clienteNombre": name,
        "titulo": f"Devolver llamada a {number if name == UNKNOWN_NAME else name}",
        "descripcion": f"Llamada perdida de {number}, {called_at:{_TIME_FORMAT}}",
        "fechaVencimiento": f"{called_at:%Y-%m-%d}",
        "prioridad": "Alta",
        "estado": OPEN_STATUS,
        "tipo": "Llamada",
    }


def _is_untouched(call: Call, existing: Mapping[str, Any]) -> bool:
    """Whether the task is as the relay created it.

    Customer and time are read from the task: the relay may know other ones since.
    """
    customer = existing.get("clienteId", UNKNOWN_ID), existing.get("clienteNombre", UNKNOWN_NAME)
    written = str(existing.get("descripcion"))[-_TIME_LENGTH:]
    try:
        called_at = datetime.strptime(written, _TIME_FORMAT)  # noqa: DTZ007 - in the team's time zone
    except ValueError:
        return False
    return existing == build_task(call, customer, called_at)


def _call_time(call: Call) -> datetime:
    text = call.started_at or call.ended_at
    return datetime.fromisoformat(text) if text else datetime.now(UTC)
