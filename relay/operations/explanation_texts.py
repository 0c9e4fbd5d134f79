"""The sentences that explain a delivery, a destination and a call that is not found, in each language.

A sentence says what the CRM has, why, until when, and what to do. `{head}` is one of the first texts. A
command is in parentheses, "(`relay check`)": the console leaves it out, since its pages have a button.
"""

from enum import StrEnum
from typing import Final

from relay.operations.languages import Text


class Cause(StrEnum):
    """Why a call is in a CRM, or is not. The values are stable: scripts read them as `explanation_code`."""

    # A delivery that is settled.
    DELIVERED = "delivered"
    DELIVERED_PARTLY = "delivered_partly"
    NOT_UPDATED = "not_updated"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"
    DROPPED = "dropped"
    FILTERED = "filtered"
    INTERNAL = "internal"
    FILTER_CHANGED = "filter_changed"
    MERGED = "merged"
    RETRACTED = "retracted"
    # A delivery that is pending, and the destination that it waits for.
    ORPHANED = "orphaned"
    DISABLED = "disabled"
    PAUSED = "paused"
    THROTTLED = "throttled"
    UNAUTHORISED = "unauthorised"
    MISCONFIGURED = "misconfigured"
    FAILING = "failing"
    NO_RELAY = "no_relay"
    RETRY_SCHEDULED = "retry_scheduled"
    RATE_LIMITED = "rate_limited"
    BEING_DELIVERED = "being_delivered"
    INCOMPLETE = "incomplete"
    # A destination.
    DEAD_LETTERS = "dead_letters"
    UP_TO_DATE = "up_to_date"
    NOTHING_YET = "nothing_yet"
    # A call without deliveries.
    NO_DESTINATION = "no_destination"
    NOT_ENQUEUED = "not_enqueued"
    CONTINUED = "continued"
    # A call that is not found.
    PRUNED = "pruned"
    FORGOTTEN = "forgotten"
    NOT_ERASED = "not_erased"
    WAITING_FOR_LINK = "waiting_for_link"
    NOT_FOLDED = "not_folded"
    SET_ASIDE = "set_aside"
    QUARANTINED = "quarantined"
    NOTHING_ARRIVED = "nothing_arrived"
    UNKNOWN_ID = "unknown_id"


NOT_YET: Final = Text("Not in {destination} yet", "Aún no está en {destination}")
NOT: Final = Text("Not in {destination}", "No está en {destination}")
OLDER: Final = Text(
    "{destination} has version {has} of the call, and not version {version} yet",
    "{destination} tiene la versión {has} de la llamada y aún no la {version}",
)
STILL: Final = Text(
    "Still in {destination}, and to be removed there", "Sigue en {destination}, y hay que quitarla de allí"
)
AGAIN: Final = Text(
    "In {destination}, and to be compared again", "Está en {destination}, y se va a comparar de nuevo"
)
NOTHING_SENT: Final = Text(
    "Nothing is sent to {destination} ({pending} pending)",
    "No se envía nada a {destination} ({pending} pendientes)",
)

TRIED_AT: Final = Text("the relay tries again at {until}", "el relay lo intenta de nuevo a las {until}")
TRIED_NOW: Final = Text("the relay tries again now", "el relay lo intenta de nuevo ahora")
NO_RELAY: Final = Text(
    "no relay is running, so start one (`relay serve`)",
    "ningún relay está en marcha: hay que iniciar uno (`relay serve`)",
)
NO_DETAILS: Final = Text("without details", "sin detalles")

WAITS: Final = {
    Cause.ORPHANED: Text(
        "{head}: the settings no longer have {destination}, so nothing is sent to it; add"
        " [destinations.{destination}] again and restart the relay",
        "{head}: la configuración ya no incluye {destination}, así que no se le envía nada; vuelva a añadir"
        " [destinations.{destination}] y reinicie el relay",
    ),
    Cause.DISABLED: Text(
        "{head}: {destination} is disabled in the settings; set destinations.{destination}.enabled = true"
        " and restart the relay",
        "{head}: {destination} está desactivado en la configuración; ponga"
        " destinations.{destination}.enabled = true y reinicie el relay",
    ),
    Cause.PAUSED: Text(
        "{head}: a person paused {destination}, until a person resumes it (`relay destinations resume"
        " {destination}`)",
        "{head}: una persona pausó {destination}, hasta que una persona lo reanude (`relay destinations"
        " resume {destination}`)",
    ),
    Cause.UNAUTHORISED: Text(
        "{head}: {destination} refuses the credentials ({answer}); correct them in the settings; {again}",
        "{head}: {destination} rechaza las credenciales ({answer}); corríjalas en la configuración; {again}",
    ),
    Cause.MISCONFIGURED: Text(
        "{head}: {destination} is not set up for the relay ({answer}); a check shows what to change"
        " (`relay check`); {again}",
        "{head}: {destination} no está preparado para el relay ({answer}); una comprobación muestra qué"
        " hay que cambiar (`relay check`); {again}",
    ),
    Cause.THROTTLED: Text(
        "{head}: {destination} asked the relay to wait, because its rate limit is used up ({answer}); there"
        " is nothing to do; {again}",
        "{head}: {destination} pidió al relay que espere, porque se agotó su límite de peticiones ({answer});"
        " no hay que hacer nada; {again}",
    ),
    Cause.FAILING: Text(
        "{head}: {destination} is down or cannot be reached ({answer}); {again}",
        "{head}: {destination} está caído o no responde ({answer}); {again}",
    ),
}
"""Why nothing is sent to a destination, for a delivery and for the destination itself."""

DELIVERY: Final = WAITS | {
    Cause.NO_RELAY: Text("{head}: {again}", "{head}: {again}"),
    Cause.RETRY_SCHEDULED: Text(
        "{head}: attempt {attempts} failed ({answer}); {again}",
        "{head}: el intento {attempts} falló ({answer}); {again}",
    ),
    Cause.RATE_LIMITED: Text(
        "{head}: this call needs a rate limit of {destination} that is used up ({answer}); {again}",
        "{head}: esta llamada necesita un límite de peticiones de {destination} que está agotado ({answer});"
        " {again}",
    ),
    Cause.INCOMPLETE: Text(
        "{head}: waiting until the call is complete (destinations.{destination}.update); {missing}",
        "{head}: se espera a que la llamada esté completa (destinations.{destination}.update); {missing}",
    ),
    Cause.BEING_DELIVERED: Text(
        "{head}: the relay is sending it now; there is nothing to do",
        "{head}: el relay la está enviando ahora; no hay que hacer nada",
    ),
    Cause.DELIVERED: Text(
        "In {destination}: it has the newest version ({version}) since {at}",
        "Está en {destination}: tiene la última versión ({version}) desde las {at}",
    ),
    Cause.DELIVERED_PARTLY: Text(
        "In {destination}, but not all of it: at {at} {destination} refused a part ({answer})",
        "Está en {destination}, pero no completa: a las {at} {destination} rechazó una parte ({answer})",
    ),
    Cause.NOT_UPDATED: Text(
        "In {destination} as version {has}: {destination} is never updated after its first write"
        " (destinations.{destination}.update), so version {version} is not written; there is nothing to do",
        "Está en {destination} con la versión {has}: {destination} nunca se actualiza tras la primera"
        " escritura (destinations.{destination}.update), así que la versión {version} no se escribe; no hay"
        " que hacer nada",
    ),
    Cause.REJECTED: Text(
        "{head}: {destination} rejected the record at {at} ({answer}); correct the cause, then send it"
        " again (`relay dead replay {call}`)",
        "{head}: {destination} rechazó el registro a las {at} ({answer}); corrija la causa y reenvíela"
        " (`relay dead replay {call}`)",
    ),
    Cause.GAVE_UP: Text(
        "{head}: the relay gave up at {at} after {attempts} attempts, while {destination} accepted other"
        " calls ({answer}); find out what differs in this call, then send it again (`relay dead replay"
        " {call}`)",
        "{head}: el relay desistió a las {at} tras {attempts} intentos, mientras {destination} aceptaba otras"
        " llamadas ({answer}); averigüe qué tiene de distinto y reenvíela (`relay dead replay {call}`)",
    ),
    Cause.DROPPED: Text(
        "{head}: a person dropped its dead letter ({answer}); it is sent if the call changes, or if a"
        " person sends it again (`relay replay --destination {destination} --call {call}`)",
        "{head}: una persona descartó su entrega fallida ({answer}); se envía si la llamada cambia, o si una"
        " persona la envía otra vez (`relay replay --destination {destination} --call {call}`)",
    ),
    Cause.FILTERED: Text(
        "{head}: the filter of {destination} excludes the call, since {condition}; after a change of the"
        " filter send it again (`relay replay --destination {destination} --call {call}`)",
        "{head}: el filtro de {destination} excluye la llamada, porque {condition}; tras cambiar el filtro,"
        " envíela otra vez (`relay replay --destination {destination} --call {call}`)",
    ),
    Cause.INTERNAL: Text(
        "{head}: the call is internal, between colleagues, and cloudtalk.forward_internal is false",
        "{head}: la llamada es interna, entre compañeros, y cloudtalk.forward_internal es false",
    ),
    Cause.FILTER_CHANGED: Text(
        "{head}: earlier settings excluded the call, and the present ones do not; send it again"
        " (`relay replay --destination {destination} --call {call}`)",
        "{head}: una configuración anterior excluyó la llamada y la actual no; envíela otra vez"
        " (`relay replay --destination {destination} --call {call}`)",
    ),
    Cause.MERGED: Text(
        "{head}: the call was merged into {survivor}, and {destination} gets that record (`relay calls show"
        " {survivor}`)",
        "{head}: la llamada se unió a {survivor}, y {destination} recibe ese registro (`relay calls show"
        " {survivor}`)",
    ),
    Cause.RETRACTED: Text(
        "{head}: the relay removed the record, because the call proved to be internal",
        "{head}: el relay quitó el registro, porque la llamada resultó ser interna",
    ),
}
"""Why a call is in a CRM, or is not."""

NOT_OVER: Final = Text(
    "it is not over, and the relay sends it without its end only after {hours} hours without an event",
    "no ha terminado, y el relay solo la envía sin su final tras {hours} horas sin eventos",
)
NOT_QUIET: Final = Text(
    "its recording and notes may still arrive, and the relay looks again at {until}",
    "aún pueden llegar su grabación y sus notas, y el relay vuelve a mirar a las {until}",
)
"""What is missing in a call that is not complete."""

CONDITIONS: Final = {
    "directions": Text(
        "its direction is {value} and when.directions has only {allowed}",
        "su dirección es {value} y when.directions solo admite {allowed}",
    ),
    "statuses": Text(
        "its status is {value} and when.statuses has only {allowed}",
        "su estado es {value} y when.statuses solo admite {allowed}",
    ),
    "own_numbers": Text(
        "the company's number is {value} and when.own_numbers has only {allowed}",
        "el número de la empresa es {value} y when.own_numbers solo admite {allowed}",
    ),
    "minimum_seconds": Text(
        "it has {value} seconds and when.minimum_seconds is {allowed}",
        "tiene {value} segundos y when.minimum_seconds es {allowed}",
    ),
}
"""The condition of a filter that a call does not match."""

UNKNOWN_VALUE: Final = Text("unknown", "desconocido")

DESTINATION: Final = WAITS | {
    Cause.NO_RELAY: Text("{head}: {again}", "{head}: {again}"),
    Cause.DEAD_LETTERS: Text(
        "{destination} takes calls, but {dead} failed for good; look at them (`relay dead list --destination"
        " {destination}`)",
        "{destination} recibe llamadas, pero {dead} fallaron definitivamente; revíselas (`relay dead list"
        " --destination {destination}`)",
    ),
    Cause.BEING_DELIVERED: Text(
        "{destination} has {pending} calls pending: the relay sends them, or repeats them after a failure",
        "{destination} tiene {pending} llamadas pendientes: el relay las envía, o las repite tras un fallo",
    ),
    Cause.INCOMPLETE: Text(
        "{destination} has {pending} calls pending, which all wait until they are complete"
        " (destinations.{destination}.update); there is nothing to do",
        "{destination} tiene {pending} llamadas pendientes, y todas esperan a estar completas"
        " (destinations.{destination}.update); no hay que hacer nada",
    ),
    Cause.UP_TO_DATE: Text(
        "{destination} has all its calls ({delivered})",
        "{destination} tiene todas sus llamadas ({delivered})",
    ),
    Cause.NOTHING_YET: Text("{destination} has got no call yet", "{destination} aún no ha recibido llamadas"),
}
"""What a destination does at present."""

CALL: Final = {
    Cause.NO_DESTINATION: Text(
        "The settings have no destination, so the call is in no CRM; add [destinations.NAME]",
        "La configuración no tiene ningún destino, así que la llamada no está en ningún CRM; añada"
        " [destinations.NAME]",
    ),
    Cause.NOT_ENQUEUED: Text(
        "Not in {destination}: it was added after this call; send it again, or all calls of the past"
        " (`relay replay --destination {destination}`)",
        "No está en {destination}: se añadió después de esta llamada; envíela otra vez, o todas las"
        " llamadas anteriores (`relay replay --destination {destination}`)",
    ),
    Cause.CONTINUED: Text(
        "Not in {destination}: retention deleted the call, and only late events of it are known, which make"
        " no record",
        "No está en {destination}: la retención borró la llamada, y solo se conocen eventos tardíos, que no"
        " forman un registro",
    ),
    Cause.MERGED: Text(
        "{id} was merged into {survivor}, which is shown",
        "{id} se unió a {survivor}, que es la que se muestra",
    ),
    Cause.PRUNED: Text(
        "Retention deleted {id} at {at} (privacy.calls_days); records in the CRMs stay",
        "La retención borró {id} a las {at} (privacy.calls_days); los registros de los CRM se conservan",
    ),
    Cause.FORGOTTEN: Text(
        "The call {id} was forgotten (relay forget). {destination} has not erased its record {record} yet:"
        " the relay tries until it has, as soon as the destination takes requests",
        "La llamada {id} se olvidó (relay forget). {destination} todavía no ha borrado su registro {record}:"
        " el relay lo intenta hasta que lo borre, en cuanto el destino acepte peticiones",
    ),
    Cause.NOT_ERASED: Text(
        "The call {id} was forgotten (relay forget), but {destination} refuses to erase its record {record}"
        " ({answer}): delete it there, then run relay dead drop",
        "La llamada {id} se olvidó (relay forget), pero {destination} rechaza borrar su registro {record}"
        " ({answer}): bórrelo allí y ejecute después relay dead drop",
    ),
    Cause.WAITING_FOR_LINK: Text(
        "An event with {id} arrived at {at} and cannot begin a call: it waits for an event that names its"
        " call, until {until} at the latest, then it makes a call of its own",
        "Un evento con {id} llegó a las {at} y no puede iniciar una llamada: espera a otro que nombre su"
        " llamada, como máximo hasta las {until}, y después forma una propia",
    ),
    Cause.NOT_FOLDED: Text(
        "An event with {id} arrived at {at} and is not folded yet; {again}",
        "Un evento con {id} llegó a las {at} y aún no se ha procesado; {again}",
    ),
    Cause.SET_ASIDE: Text(
        "An event with {id} arrived at {at}, but the fold failed on it; look at it (`relay quarantine show"
        " {entry}`) and retry it (`relay quarantine retry {entry}`)",
        "Un evento con {id} llegó a las {at}, pero no se pudo procesar; revíselo (`relay quarantine show"
        " {entry}`) y reinténtelo (`relay quarantine retry {entry}`)",
    ),
    Cause.QUARANTINED: Text(
        "A body with {id} arrived at {at} and is in quarantine ({reason}: {message}); look at it (`relay"
        " quarantine show {entry}`)",
        "Un mensaje con {id} llegó a las {at} y está en cuarentena ({reason}: {message}); revíselo (`relay"
        " quarantine show {entry}`)",
    ),
    Cause.NOTHING_ARRIVED: Text(
        "No event of any call has arrived yet; check that CloudTalk calls the webhook (`relay"
        " cloudtalk-setup`)",
        "Aún no ha llegado ningún evento de ninguna llamada; compruebe que CloudTalk llama al webhook (`relay"
        " cloudtalk-setup`)",
    ),
    Cause.UNKNOWN_ID: Text(
        "No event with {id} has arrived (the last event of any call: {at}){limit}; check in CloudTalk that"
        " the call exists and that its workflow ran, or search all calls (`relay calls list`)",
        "No ha llegado ningún evento con {id} (el último de cualquier llamada: {at}){limit}; compruebe en"
        " CloudTalk que la llamada existe y que su workflow se ejecutó, o busque entre todas"
        " (`relay calls list`)",
    ),
}
"""A call that no destination has, that was merged, or that is not found."""

SEARCHED: Final = Text(
    ", unless it is in an older entry of the quarantine: only the newest {bodies} of {of} were searched",
    ", salvo que esté en una entrada antigua de la cuarentena: solo se buscó en las {bodies} más recientes de"
    " {of}",
)
RELAY_FOLDS: Final = Text("the relay does it now", "el relay lo hace ahora")
