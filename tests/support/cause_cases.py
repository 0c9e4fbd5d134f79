"""The causes for which a call is not in a CRM, with their sentences: the same for commands and pages."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.support import causes
from tests.support.causes import Scene


class Case(NamedTuple):
    """A cause, how it is produced, and parts of its sentence. `served`: whether a relay delivers."""

    cause: str
    prepare: Callable[[Scene], Awaitable[None]]
    english: tuple[str, ...]
    spanish: tuple[str, ...]
    served: bool = True


DELIVERIES = [
    Case(
        "delivered", causes.delivered, ("In crm: it has the newest version (1) since 20",), ("Está en crm:",)
    ),
    Case(
        "paused",
        causes.paused_by_a_person,
        ("Not in crm yet: a person paused crm", "`relay destinations resume crm`"),
        ("Aún no está en crm: una persona pausó crm", "`relay destinations resume crm`"),
    ),
    Case(
        "unauthorised",
        causes.unauthorised,
        ("Not in crm yet: crm refuses the credentials (401: bad key)", "the relay tries again at 20"),
        ("crm rechaza las credenciales («401: bad key»)", "el relay lo intenta de nuevo a las 20"),
    ),
    Case(
        "unauthorised",
        causes.unauthorised,
        ("refuses the credentials (401: bad key)", "no relay is running, so start one (`relay serve`)"),
        ("rechaza las credenciales", "ningún relay está en marcha"),
        served=False,
    ),
    Case(
        "throttled",
        causes.throttled,
        ("its rate limit is used up (429: slow down); there is nothing to do",),
        ("se agotó su límite de peticiones («429: slow down»)",),
    ),
    Case(
        "misconfigured",
        causes.misconfigured,
        (
            "crm is not set up for the relay (42P01: no table calls); a check shows",
            "shows what to change (`relay check`)",
        ),
        ("crm no está preparado para el relay («42P01: no table calls»)", "`relay check`"),
    ),
    Case(
        "failing",
        causes.failing,
        ("crm is down or cannot be reached (503: it is down); the relay tries again",),
        ("crm está caído o no responde («503: it is down»)",),
    ),
    Case("disabled", causes.disabled, ("destinations.crm.enabled = true",), ("está desactivado",)),
    Case("orphaned", causes.orphaned, ("the settings no longer have crm",), ("ya no incluye crm",)),
    Case(
        "no_relay", causes.pending, ("Not in crm yet: no relay is running",), ("ningún relay",), served=False
    ),
    Case("being_delivered", causes.pending, ("the relay is sending it now",), ("la está enviando ahora",)),
    Case(
        "retry_scheduled",
        causes.retried,
        ("attempt 1 failed (503: it is {down}); the relay tries again at 20",),
        ("el intento 1 falló («503: it is {down}»)",),
    ),
    Case(
        "rate_limited",
        causes.rate_limited,
        ("this call needs a rate limit of crm that is used up (429: slow down)",),
        ("un límite de peticiones de crm que está agotado",),
    ),
    Case(
        "filtered",
        causes.filtered,
        ("Not in crm yet: the filter", "its direction is inbound and when.directions has only outbound"),
        ("su dirección es inbound y when.directions solo admite outbound",),
    ),
    Case(
        "incomplete",
        causes.held_until_its_end,
        (
            "Not in crm yet: waiting until the call is complete (destinations.crm.update)",
            "it is not over, and the relay sends it without its end only after 30 hours without an event",
        ),
        ("Aún no está en crm: se espera a que la llamada esté completa", "no ha terminado"),
    ),
    Case(
        "incomplete",
        causes.held_for_its_notes,
        ("its recording and notes may still arrive, and the relay looks again at 20",),
        ("aún pueden llegar su grabación y sus notas, y el relay vuelve a mirar a las 20",),
    ),
    Case(
        "incomplete",
        causes.held_with_an_older_version,
        ("crm has version 1 of the call, and not version 2 yet: waiting until the call is complete",),
        ("crm tiene la versión 1 de la llamada y aún no la 2: se espera",),
    ),
    Case(
        "not_updated",
        causes.not_updated,
        (
            "In crm as version 1: crm is never updated after its first write (destinations.crm.update)",
            "so version 2 is not written; there is nothing to do",
        ),
        ("Está en crm con la versión 1: crm nunca se actualiza", "la versión 2 no se escribe"),
    ),
    Case(
        "filter_changed",
        causes.filter_changed,
        ("earlier settings excluded the call", "`relay replay --destination crm --call cloudtalk-1`"),
        ("una configuración anterior excluyó la llamada",),
    ),
    Case("internal", causes.internal, ("cloudtalk.forward_internal is false",), ("la llamada es interna",)),
    Case(
        "rejected",
        causes.rejected,
        (
            "Not in crm: crm rejected the record at 20",
            "(22P05: no such column)",
            "`relay dead replay cloudtalk-1`",
        ),
        ("No está en crm: crm rechazó el registro", "`relay dead replay cloudtalk-1`"),
    ),
    Case(
        "gave_up",
        causes.gave_up,
        ("the relay gave up at 20", "after 2 attempts, while crm accepted other calls (503: it is down)"),
        ("tras 2 intentos, mientras crm aceptaba otras llamadas",),
    ),
    Case(
        "dropped",
        causes.dropped,
        (
            "a person dropped its dead letter (22P05: no such column)",
            "`relay replay --destination crm --call cloudtalk-1`",
        ),
        ("una persona descartó su entrega fallida",),
    ),
    Case("retracted", causes.retracted, ("Not in crm: the relay removed the record",), ("el relay quitó",)),
    Case(
        "being_delivered",
        causes.newer_version,
        ("crm has version 1 of the call, and not version 2 yet: the relay is sending it",),
        ("crm tiene la versión 1 de la llamada y aún no la 2: el relay la está enviando",),
    ),
]

CALLS = [
    Case(
        "not_enqueued",
        causes.not_enqueued,
        ("Not in late: it was added after this call", "`relay replay --destination late`"),
        ("No está en late: se añadió después",),
    ),
    Case("no_destination", causes.no_destination, ("The settings have no destination",), ("ningún destino",)),
]

MISSING = [
    Case(
        "waiting_for_link",
        causes.waiting,
        ("An event with 42 arrived at 20", "it waits for an event that names its call, until 20"),
        ("Un evento con 42 llegó a las 20", "como máximo hasta las 20"),
    ),
    Case(
        "not_folded",
        causes.not_folded,
        ("is not folded yet; the relay does it now",),
        ("no se ha procesado",),
    ),
    Case(
        "set_aside",
        causes.set_aside,
        ("the fold failed on it", "`relay quarantine show e1`"),
        ("no se pudo",),
    ),
    Case(
        "quarantined",
        causes.quarantined,
        ("A body with 42 arrived at 20", "in quarantine (unknown_event:", "`relay quarantine show 1`"),
        ("está en cuarentena (unknown_event:",),
    ),
    Case("unknown_id", causes.unknown, ("No event with 42 has arrived (the last event",), ("No ha llegado",)),
    Case("nothing_arrived", causes.nothing, ("No event of any call has arrived",), ("Aún no ha llegado",)),
]
