"""The CRM's tasks for calls that want to be followed up: `tarea:` values of the layout `kv`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm_clients.base import Push
from crm_clients.supabase.record import UNKNOWN_ID, UNKNOWN_NAME
from relay.call import Call

PREFIX: Final = "tarea:"

PENDING: Final = "Pendiente"
_DONE: Final = "Completada"
_WHEN: Final = "%d/%m/%Y %H:%M"
_REMARK: Final = "\nLa llamada fue atendida después: tarea completada por CloudTalk Relay."


def concerns(push: Push) -> bool:
    """Whether this push can make or complete a task: so a recording never brings back a deleted one."""
    return push.first or "follow_up" in push.changed


def change(call: Call, there: Any, client: tuple[Any, Any], timezone: ZoneInfo) -> dict[str, Any] | None:
    """The task to be written, if any: a new one, or one that nobody touched and that is needed no more.

    `there`: what stands under the task's key. `client`: id and name, as the call's record has them.
    """
    if call.follow_up:
        return None if there is not None else task_of(call, client, _moment(call).astimezone(timezone))
    if not isinstance(there, dict) or not _is_untouched(call, there):
        return None
    return {**there, "estado": _DONE, "descripcion": f"{there['descripcion']}{_REMARK}"}


def task_of(call: Call, client: tuple[Any, Any], when: datetime) -> dict[str, Any]:
    """The task as it is made; due on the day of the call. `when`: its time, as the team counts days."""
    id_, name = client
    number = call.external_number or UNKNOWN_NAME
    return {
        "id": call.id,
        "clienteId": id_,
        "clienteNombre": name,
        "titulo": f"Devolver llamada a {number if name == UNKNOWN_NAME else name}",
        "descripcion": f"Llamada perdida de {number}, {when:{_WHEN}}",
        "fechaVencimiento": f"{when:%Y-%m-%d}",
        "prioridad": "Alta",
        "estado": PENDING,
        "tipo": "Llamada",
    }


def _is_untouched(call: Call, there: Mapping[str, Any]) -> bool:
    """Whether it is as we would make it; who the client is, and when it was, may have come to light since."""
    client = there.get("clienteId", UNKNOWN_ID), there.get("clienteNombre", UNKNOWN_NAME)
    written = str(there.get("descripcion"))[-len("28/11/2024 23:30") :]
    try:
        when = datetime.strptime(written, _WHEN)  # noqa: DTZ007 - the team's own clock
    except ValueError:
        return False
    return there == task_of(call, client, when)


def _moment(call: Call) -> datetime:
    said = call.started_at or call.ended_at
    return datetime.fromisoformat(said) if said else datetime.now(UTC)
