"""The words and sentences about audits, in each language."""

from typing import Final

from relay.audit.report import Reading
from relay.ledger.audits import FindingKind
from relay.operations.languages import Text

CLOUDTALK: Final = Text("CloudTalk", "CloudTalk")
LEDGER: Final = Text("the ledger", "el registro")

NUMBERS: Final[dict[str, Text]] = {
    "unknown": Text("unknown to the ledger", "desconocidas para el registro"),
    "incomplete": Text("incomplete in the ledger", "incompletas en el registro"),
    "postponed": Text("known to CloudTalk only later", "pendientes en CloudTalk"),
    "unreadable": Text("rows without an id", "filas sin id"),
    "young": Text("not over yet", "aún sin terminar"),
    "only_here": Text("not in CloudTalk's history", "ausentes del historial de CloudTalk"),
    "missing": Text("missing", "ausentes"),
    "removed": Text("removed in the CRM", "borradas en el CRM"),
    "outdated": Text("in another version", "en otra versión"),
    "doubled": Text("doubled", "duplicadas"),
    "left_over": Text("should not be there", "sobran"),
    "changed": Text("changed by people", "cambiadas por personas"),
    "other_settings": Text("written by earlier settings", "escritas con ajustes anteriores"),
    "pending": Text("pending", "pendientes"),
    "dead": Text("dead letters", "no entregadas"),
    "dropped": Text("given up", "descartadas"),
    "filtered": Text("not wanted by the settings", "no deseadas según los ajustes"),
    "not_sent": Text("older than the destination", "anteriores al destino"),
    "forgotten": Text("of forgotten calls", "de llamadas olvidadas"),
    "changing": Text("changed while they were read", "cambiaron durante la lectura"),
}
"""The numbers of a side that are shown if they are not 0, in this order."""

READINGS: Final[dict[Reading, Text]] = {
    Reading.NO_READING: Text("cannot be compared: it has no way to read", "no se puede comparar: no se lee"),
    Reading.DISABLED: Text("not compared: disabled", "no comparado: desactivado"),
    Reading.PAUSED: Text("not compared: paused ({problem})", "no comparado: en pausa ({problem})"),
    Reading.FAILED: Text("could not be read ({problem})", "no se pudo leer («{problem}»)"),
}
KINDS: Final[dict[FindingKind, Text]] = {kind: NUMBERS[kind] for kind in FindingKind}

SIDE: Final = Text("{name}: {calls}", "{name}: {calls}")
GOOD: Final = Text("complete and right", "completo y correcto")
REPAIRED: Final = Text("repaired: {number}", "reparadas: {number}")
FOR_PERSON: Final = Text("to look at: {number}", "por revisar: {number}")
UNPROVEN: Final = Text("not proven: {names}", "sin comprobar: {names}")

ACTIONS: Final[dict[str, Text]] = {
    "repaired": Text("repaired", "reparada"),
    FindingKind.CHANGED: Text("left as it is", "se deja así"),
    FindingKind.ONLY_HERE: Text("left as it is", "se deja así"),
    FindingKind.UNKNOWN: Text("import it with relay backfill", "impórtela con relay backfill"),
    FindingKind.INCOMPLETE: Text("import it with relay backfill", "impórtela con relay backfill"),
    FindingKind.MISSING: Text("send it again", "reenvíela"),
    FindingKind.REMOVED: Text("not written again", "no se vuelve a escribir"),
    FindingKind.OUTDATED: Text("send it again", "reenvíela"),
    FindingKind.DOUBLED: Text("delete the copy in the CRM", "borre la copia en el CRM"),
    FindingKind.LEFT_OVER: Text("delete it in the CRM", "bórrela en el CRM"),
}
"""What was done about a finding, or what a person can do."""
