"""The record of a call as the pages of the mission's CRM read it: a JSON value under a key."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from relay.call import FIELDS, Call, Status

KEYS: Final = {
    "contact_id": "clienteId",
    "contact_name": "clienteNombre",
    "direction": "tipo",
    "duration_seconds": "duracion",
    "status": "estado",
    "cloudtalk_data": "cloudtalkData",
    "external_number": "telefono",
    "agent_name": "agente",
    "started_at": "inicio",
    "ended_at": "fin",
    "response_seconds": "tiempoRespuesta",
    "recording_url": "grabacionUrl",
    "follow_up": "seguimiento",
}
"""What a field is called in the record; from `telefono` on they are the relay's additions."""

FIXED: Final = ("id", "cloudtalkId", "fecha", "notas")
"""Keys that the pages look for and that are no field's own."""

UNKNOWN_ID: Final = "unknown"
UNKNOWN_NAME: Final = "Desconocido"

_SOURCES: Final[dict[str, frozenset[str]]] = {
    "id": frozenset(),
    "cloudtalkId": frozenset(),
    "fecha": frozenset({"started_at"}),
    "notas": frozenset({"from", "to"}),
}
_ATTRIBUTES: Final = dict(zip(FIELDS, Call.__struct_fields__, strict=True))
_ID_PREFIX: Final = "cloudtalk-"


class RecordMapper:
    """How a destination's records look: what each field is called, and what every record says besides."""

    def __init__(
        self,
        places: Mapping[str, str],
        constants: Mapping[str, Any],
        label: Callable[[Status], str],
    ) -> None:
        self._places = places
        self._constants = constants
        self._label = label
        self._sources: dict[str, frozenset[str]] = {
            **_SOURCES,
            **{key: frozenset({"status" if field == "state" else field}) for field, key in places.items()},
        }
        self.client_keys = tuple(places.get(field) for field in ("contact_id", "contact_name"))

    def record(self, call: Call) -> dict[str, Any]:
        """All that the relay says of a call."""
        return {
            "id": call.id,
            "cloudtalkId": call.id.removeprefix(_ID_PREFIX),
            "fecha": call.started_at,
            "notas": f"Llamada CloudTalk - {call.from_ or UNKNOWN_NAME} → {call.to or UNKNOWN_NAME}",
            **{key: self._value(field, call) for field, key in self._places.items()},
        }

    def merged(
        self, there: Mapping[str, Any] | None, ours: Mapping[str, Any], changed: Collection[str] | None
    ) -> dict[str, Any]:
        """The record to be: what is there, and over it what we say anew of the fields that changed.

        `there` None: the CRM has no such record. `changed` None: all fields.
        """
        if there is None or changed is None:
            return {**self._constants, **(there or {}), **ours}
        return {**there, **{key: ours[key] for key in ours if self._is_said_by(key, changed)}}

    def _is_said_by(self, key: str, changed: Collection[str]) -> bool:
        return not self._sources[key].isdisjoint(changed)

    def _value(self, field: str, call: Call) -> Any:
        special = _SPECIAL.get(field)
        if special is not None:
            return special(call)
        return self._label(call.status) if field == "status" else getattr(call, _ATTRIBUTES[field])


def clock(seconds: int | None) -> str:
    """Minutes and seconds, M:SS; hours are minutes too. `0:00` where the duration is unknown."""
    minutes, rest = divmod(seconds or 0, 60)
    return f"{minutes}:{rest:02}"


_SPECIAL: Final[dict[str, Callable[[Call], Any]]] = {
    "contact_id": lambda call: call.contact_id or UNKNOWN_ID,
    "contact_name": lambda call: call.contact_name or UNKNOWN_NAME,
    "direction": lambda call: "Entrante" if call.direction == "inbound" else "Saliente",
    "duration_seconds": lambda call: clock(call.duration_seconds),
    "state": lambda call: call.status.value,
}
"""What the pages show in another way than the call has it."""
