"""The sentences of alerts, apart from those that explain a destination."""

from typing import Final

from relay.operations.languages import Text

NO_EVENTS: Final = Text(
    "CloudTalk has sent nothing since {at}. In the same hours of past weeks at least {usual} calls began. "
    "Look "
    "whether the webhook or the workflows are still enabled in CloudTalk, and whether {url} can be reached.",
    "CloudTalk no ha enviado nada desde las {at}. En las mismas horas de semanas anteriores hubo al menos "
    "{usual} "
    "llamadas. Mire si el webhook o los workflows siguen activos en CloudTalk y si se puede llegar a {url}.",
)
EVENTS_AGAIN: Final = Text("CloudTalk sends events.", "CloudTalk envía eventos.")
HISTORY_UNREAD: Final = Text(
    "CloudTalk's history cannot be read since {at}, so calls that CloudTalk does not announce are missing: "
    "{error}. Run `relay check`.",
    "El historial de CloudTalk no se puede leer desde las {at}, así que faltan las llamadas que CloudTalk no "
    "anuncia: {error}. Ejecute `relay check`.",
)
HISTORY_READ: Final = Text("CloudTalk's history is read.", "Se lee el historial de CloudTalk.")
LEDGER_DOWN: Final = Text(
    "The relay on {host} accepts no events, because its ledger cannot be written: {error}. Run `relay "
    "check` there.",
    "El relay de {host} no acepta eventos, porque no se puede escribir en su registro: {error}. Ejecute allí "
    "`relay check`.",
)
LEDGER_UP: Final = Text("The ledger of {host} can be written.", "Se puede escribir en el registro de {host}.")
DISK_LOW: Final = Text(
    "The disk of the ledger on {host} has only {free} MB left. Free space, or shorten `privacy.events_days` "
    "and run "
    "`relay ledger vacuum`.",
    "Al disco del registro de {host} solo le quedan {free} MB. Libere espacio, o reduzca "
    "`privacy.events_days` y "
    "ejecute `relay ledger vacuum`.",
)
DISK_FREE: Final = Text(
    "The disk of the ledger on {host} has {free} MB left.",
    "Al disco del registro de {host} le quedan {free} MB.",
)
NOTHING_DELIVERED: Final = Text(
    "No destination delivers: {names} are paused. Run `relay status`; it says why.",
    "Ningún destino recibe llamadas: {names} están en pausa. Ejecute `relay status`; dice por qué.",
)
DELIVERED_AGAIN: Final = Text("At least one destination delivers.", "Al menos un destino recibe llamadas.")
