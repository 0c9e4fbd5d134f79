"""The sentences of the story of a call, in each language."""

from typing import Final

from relay.ledger.actions import BY_COMMAND
from relay.ledger.audits import NIGHTLY
from relay.operations.languages import Text

RECEIVED: Final = Text("call.{kind} ({dialect}){stated}", "call.{kind} ({dialect}){stated}")
STATED: Final = Text(", which states {at}", ", que indica las {at}")
LEFT_OUT: Final = Text(
    "{number} older events of the call are not shown", "no se muestran {number} eventos anteriores"
)
FOLDED: Final = Text("event {seq} is part of {call}", "el evento {seq} forma parte de {call}")
MERGED: Final = Text(
    "{merged} was merged into this call, because event {seq} names both",
    "{merged} se unió a esta llamada, porque el evento {seq} nombra las dos",
)
LINKED: Final = Text(
    "event {seq} states that {names} are ids of one call",
    "el evento {seq} indica que {names} son ids de la misma llamada",
)
PUSHED: Final = Text(
    "{destination}: {action} of version {version}{whose}, {outcome}{answer}",
    "{destination}: {action} de la versión {version}{whose}, {outcome}{answer}",
)
OF_CALL: Final = Text(" of {call}", " de {call}")
ANSWER: Final = Text(" ({words})", " («{words}»)")
DONE: Final = Text("{destination}: {action} ({who})", "{destination}: {action} ({who})")
_SESSION: Final = Text("session {name} of the console", "sesión {name} de la consola")
_WHO: Final = {
    BY_COMMAND: Text("command line", "línea de comandos"),
    NIGHTLY: Text("audit of the night", "auditoría de la noche"),
}

_WORDS: Final = {
    "upsert": Text("write", "envío"),
    "verify": Text("comparison", "comprobación"),
    "retract": Text("removal", "retirada"),
    "delivered": Text("accepted", "aceptada"),
    "found": Text("found", "encontrada"),
    "rejected": Text("rejected", "rechazada"),
    "retry": Text("retried later", "fallo, se repite"),
    "throttled": Text("rate limit used up", "límite de peticiones agotado"),
    "unauthorised": Text("credentials refused", "credenciales rechazadas"),
    "misconfigured": Text("CRM not set up", "CRM no preparado"),
    "failing": Text("CRM down", "CRM caído"),
    "split": Text("batch rejected, is split", "lote rechazado, se divide"),
    "unknown": Text("no answer, retried later", "sin respuesta, se repite"),
    "outdated": Text("old record, is written again", "registro antiguo, se reescribe"),
    "destination.pause": Text("paused", "pausa"),
    "destination.resume": Text("resumed", "reanudación"),
    "destination.probe": Text("tried", "prueba"),
    "dead.replay": Text("sent again", "reenvío"),
    "dead.drop": Text("given up", "descarte"),
    "delivery.replay": Text("sent again", "reenvío"),
    "delivery.audit": Text("repaired", "reparación"),
}


def word(code: str) -> Text:
    """Return the word for an action or an outcome. A code without a word is shown itself."""
    return _WORDS.get(code, Text(code, code))


def describe_who(who: str) -> Text:
    """Return who did something: a command, the audit of the night, or a session of the console."""
    return _WHO.get(who) or _SESSION.fill(name=who)
