"""The sentences of the story of a call, in each language."""

from typing import Final

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
DONE: Final = Text("{destination}: {action} by {who}", "{destination}: {action} por {who}")

_SPANISH: Final = {
    "upsert": "envío",
    "verify": "comprobación",
    "retract": "retirada",
    "delivered": "aceptada",
    "found": "encontrada",
    "rejected": "rechazada",
    "retry": "fallo, se repite",
    "throttled": "límite de peticiones agotado",
    "unauthorised": "credenciales rechazadas",
    "misconfigured": "CRM no preparado",
    "failing": "CRM caído",
    "split": "lote rechazado, se divide",
    "unknown": "sin respuesta, se repite",
    "outdated": "registro antiguo, se reescribe",
    "destination.pause": "pausa",
    "destination.resume": "reanudación",
    "destination.probe": "prueba",
    "dead.replay": "reenvío",
    "dead.drop": "descarte",
    "delivery.replay": "reenvío",
    "delivery.audit": "reparación",
}


def word(code: str) -> Text:
    """Return the word for an action or an outcome. Codes without a Spanish word are the same in both."""
    return Text(code, _SPANISH.get(code, code))
