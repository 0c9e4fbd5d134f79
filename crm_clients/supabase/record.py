"""The record of a call in the layout `kv`: a JSON object with the keys that the mission's CRM reads."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from relay.call import FIELDS, Call, Status, missed_reason_in_spanish

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
    "missed_reason": "motivoPerdida",
}
"""The key of each field. The CRM knows the first six; the relay adds the others."""

_IF_KNOWN: Final = frozenset({"missed_reason"})
"""Fields whose key a record has only once there is a value."""

FIXED_KEYS: Final = ("id", "cloudtalkId", "fecha", "notas")
"""Keys that the CRM's pages need and that are not the key of one field."""

UNKNOWN_ID: Final = "unknown"
UNKNOWN_NAME: Final = "Desconocido"

_ID_KEYS: Final = ("id", "cloudtalkId")
_NOTES: Final = "notas"
_NOTES_PREFIX: Final = "Llamada CloudTalk - "
"""How `notas` begins in records of the relay and of the system before it. Another text is a person's."""

_FIXED_SOURCES: Final[dict[str, frozenset[str]]] = {
    "id": frozenset(),
    "cloudtalkId": frozenset(),
    "fecha": frozenset({"started_at"}),
    "notas": frozenset({"from", "to"}),
}
_ATTRIBUTES: Final = dict(zip(FIELDS, Call.__struct_fields__, strict=True))
ID_PREFIX: Final = "cloudtalk-"


class RecordMapper:
    """Builds records. `mapping`: field → key. `constants`: keys that every new record gets."""

    def __init__(
        self,
        mapping: Mapping[str, str],
        constants: Mapping[str, Any],
        label: Callable[[Status], str],
    ) -> None:
        self._mapping = mapping
        self._constants = constants
        self._label = label
        self._sources: dict[str, frozenset[str]] = {
            **_FIXED_SOURCES,
            **{key: frozenset({"status" if field == "state" else field}) for field, key in mapping.items()},
        }
        """The fields that each key depends on."""
        self._data_key = mapping.get("cloudtalk_data")
        self._keys_if_known = frozenset(key for field, key in mapping.items() if field in _IF_KNOWN)
        self.customer_keys = (mapping.get("contact_id"), mapping.get("contact_name"))

    def build(self, call: Call) -> dict[str, Any]:
        """Build the record of a call, without constants."""
        return {
            "id": call.id,
            "cloudtalkId": call.id.removeprefix(ID_PREFIX),
            "fecha": call.started_at,
            _NOTES: f"{_NOTES_PREFIX}{call.from_ or UNKNOWN_NAME} → {call.to or UNKNOWN_NAME}",
            **{
                key: value
                for field, key in self._mapping.items()
                if (value := self._value(field, call)) is not None or field not in _IF_KNOWN
            },
        }

    def fields_of(self, key: str) -> frozenset[str]:
        """Return the fields that the value of this key shows; none for a key that no field determines."""
        return self._sources.get(key, frozenset())

    def merge(
        self,
        existing: Mapping[str, Any] | None,
        record: Mapping[str, Any],
        changed: Collection[str],
        *,
        first: bool = False,
        known: Collection[str] | None = None,
        rewrite: bool = False,
    ) -> dict[str, Any]:
        """Write the keys of the changed fields over the existing record and keep its other keys.

        `existing` None: the CRM has no record, so all keys are written. `first`: the record gets the keys
        that it lacks. `rewrite`: constants are written again, and the notes of a person are replaced; else
        these stay. `known`: of a partial push, all fields of the call that are known. Its raw data of
        CloudTalk keeps the keys that only the existing record has, and a text of several fields is kept
        unless all of them are known.
        """
        if existing is None:
            return {**self._constants, **record}
        record = {**dict.fromkeys(self._keys_if_known & existing.keys()), **record}
        written = {key: record[key] for key in record if self._depends_on(key, changed)}
        if known is not None:
            written = {key: value for key, value in written.items() if self._is_complete(key, known)}
        if known is not None and self._data_key in written and isinstance(existing.get(self._data_key), dict):
            written[self._data_key] = {**existing[self._data_key], **written[self._data_key]}
        if rewrite:
            written |= self._constants
        elif _are_of_a_person(existing.get(_NOTES)):
            written.pop(_NOTES, None)
        if not first:
            return {**existing, **written}
        ids = {key: record[key] for key in _ID_KEYS}
        return {**self._constants, **record, **existing, **written, **ids}

    def _depends_on(self, key: str, changed: Collection[str]) -> bool:
        return not self._sources[key].isdisjoint(changed)

    def _is_complete(self, key: str, known: Collection[str]) -> bool:
        """Whether a value of several fields has all of them. The value of one field may be empty."""
        sources = self._sources[key]
        return len(sources) == 1 or sources.issubset(known)

    def _value(self, field: str, call: Call) -> Any:
        convert = _CONVERSIONS.get(field)
        if convert is not None:
            return convert(call)
        return self._label(call.status) if field == "status" else getattr(call, _ATTRIBUTES[field])


def _are_of_a_person(notes: Any) -> bool:
    return isinstance(notes, str) and bool(notes.strip()) and not notes.startswith(_NOTES_PREFIX)


def format_duration(seconds: int | None) -> str:
    """Return M:SS; hours are minutes too. `0:00` if the duration is unknown."""
    minutes, rest = divmod(seconds or 0, 60)
    return f"{minutes}:{rest:02}"


_CONVERSIONS: Final[dict[str, Callable[[Call], Any]]] = {
    "contact_id": lambda call: call.contact_id or UNKNOWN_ID,
    "contact_name": lambda call: call.contact_name or UNKNOWN_NAME,
    "direction": lambda call: "Entrante" if call.direction == "inbound" else "Saliente",
    "duration_seconds": lambda call: format_duration(call.duration_seconds),
    "state": lambda call: call.status.value,
    "missed_reason": lambda call: call.missed_reason and missed_reason_in_spanish(call.missed_reason),
}
"""Fields whose value in the CRM's pages differs from the call's."""
