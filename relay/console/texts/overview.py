"""Texts of the overview."""

from typing import Final

import msgspec


class OverviewTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the overview."""

    attention: str
    nothing: str
    dead_one: str
    dead_many: str
    quarantine_one: str
    quarantine_many: str
    aside_one: str
    aside_many: str
    unclear: str
    no_destination: str
    retention: str
    analytics_paused: str
    ai_paused: str
    look: str
    cloudtalk: str
    sends: str
    silent: str
    last_event: str
    never: str
    never_text: str
    unusual: str
    usual: str
    accepted: str
    calls: str
    waiting: str
    destinations: str
    pending: str
    oldest: str
    delivered: str
    delivered_today: str
    paused_since: str
    dead: str
    last_day: str
    chart_alt: str
    table: str
    hour: str
    events: str
    unanswered: str
    unanswered_none: str
    unanswered_note: str
    all_unanswered: str
    median: str
    history: str
    history_off: str
    history_first: str
    history_failing: str
    last_search: str
    next_search: str
    found: str
    filled: str
    backfill: str
    backfill_runs: str
    backfill_stopped: str


ENGLISH: Final = OverviewTexts(
    attention="What needs a person",
    nothing="Nothing needs a person.",
    dead_one="{destination} rejected one call for good.",
    dead_many="{destination} rejected {number} calls for good.",
    quarantine_one="One body could not be read and is in quarantine.",
    quarantine_many="{number} bodies could not be read and are in quarantine.",
    aside_one="One event could not be processed and was set aside.",
    aside_many="{number} events could not be processed and were set aside.",
    unclear="{number} ended calls do not state whether anybody talked: missed ones among them look completed. The check names the variable that is missing.",
    no_destination="The settings have no destination: calls are stored, but delivered to no CRM.",
    retention="Old data is not deleted: {reason}",
    analytics_paused="CloudTalk is not asked why calls were missed: {reason}",
    ai_paused="CloudTalk is not asked for summaries and transcripts: {reason}",
    look="Show",
    cloudtalk="From CloudTalk",
    sends="CloudTalk sends",
    silent="Nothing arrives",
    last_event="Last event",
    never="No event yet",
    never_text="Enter the address of the webhook in CloudTalk. The first call appears here a second later.",
    unusual="That is unusual for this hour.",
    usual="That is usual for this hour.",
    accepted="Events",
    calls="Calls",
    waiting="Not processed yet",
    destinations="To the CRMs",
    pending="Pending",
    oldest="Oldest",
    delivered="In all",
    delivered_today="Delivered today",
    paused_since="Paused",
    dead="Failed",
    last_day="The last 24 hours",
    chart_alt="Calls and events per hour in the last 24 hours: {calls} calls, {events} events.",
    table="As a table",
    hour="Hour",
    events="Events",
    unanswered="Missed calls without an answer",
    unanswered_none="Nobody who was missed in the last seven days waits for a call.",
    unanswered_note="Of the last seven days, who waits longest first. Nobody has talked to these numbers since.",
    all_unanswered="See all",
    median="Others were called back after {time} (median).",
    history="CloudTalk's history",
    history_off="The history is not searched. Calls that CloudTalk does not announce stay unknown: set reconcile.every_minutes.",
    history_first="The history has not been searched yet.",
    history_failing="CloudTalk's history cannot be read since {time}: {reason}",
    last_search="Last search",
    next_search="Next search",
    found="New calls in it",
    filled="Completed calls",
    backfill="Import since {since}",
    backfill_runs="Request {done} of about {all}: {calls} calls, {new} of them new.",
    backfill_stopped="Interrupted after {done} of about {all} requests. The same command (relay backfill) continues it.",
)

SPANISH: Final = OverviewTexts(
    attention="Lo que necesita a una persona",
    nothing="Nada necesita a una persona.",
    dead_one="{destination} rechazó una llamada definitivamente.",
    dead_many="{destination} rechazó {number} llamadas definitivamente.",
    quarantine_one="Un mensaje no se pudo leer y está en cuarentena.",
    quarantine_many="{number} mensajes no se pudieron leer y están en cuarentena.",
    aside_one="Un evento no se pudo procesar y se apartó.",
    aside_many="{number} eventos no se pudieron procesar y se apartaron.",
    unclear="{number} llamadas terminadas no indican si alguien habló: las perdidas entre ellas parecen completadas. La comprobación indica la variable que falta.",
    no_destination="La configuración no tiene ningún destino: las llamadas se guardan, pero no llegan a ningún CRM.",
    retention="Los datos antiguos no se borran: {reason}",
    analytics_paused="No se pregunta a CloudTalk por qué se perdieron llamadas: {reason}",
    ai_paused="No se piden a CloudTalk resúmenes ni transcripciones: {reason}",
    look="Ver",
    cloudtalk="Desde CloudTalk",
    sends="CloudTalk envía",
    silent="No llega nada",
    last_event="Último evento",
    never="Aún no hay eventos",
    never_text="Introduzca la dirección del webhook en CloudTalk. La primera llamada aparecerá aquí un segundo después.",
    unusual="No es habitual a esta hora.",
    usual="Es habitual a esta hora.",
    accepted="Eventos",
    calls="Llamadas",
    waiting="Sin procesar",
    destinations="Hacia los CRM",
    pending="Pendientes",
    oldest="Espera desde hace",
    delivered="En total",
    delivered_today="Entregadas hoy",
    paused_since="En pausa:",
    dead="Fallidas",
    last_day="Las últimas 24 horas",
    chart_alt="Llamadas y eventos por hora en las últimas 24 horas: {calls} llamadas, {events} eventos.",
    table="Como tabla",
    hour="Hora",
    events="Eventos",
    unanswered="Llamadas perdidas sin respuesta",
    unanswered_none="Nadie espera una llamada: ninguna llamada perdida de los últimos siete días está por devolver.",
    unanswered_note="De los últimos siete días; primero, quien más espera. Nadie ha hablado con estos números desde entonces.",
    all_unanswered="Ver todas",
    median="Las demás se devolvieron al cabo de {time} (mediana).",
    history="El historial de CloudTalk",
    history_off="No se busca en el historial. Las llamadas que CloudTalk no anuncia siguen sin conocerse: configure reconcile.every_minutes.",
    history_first="Todavía no se ha buscado en el historial.",
    history_failing="No se puede leer el historial de CloudTalk desde {time}: {reason}",
    last_search="Última búsqueda",
    next_search="Próxima búsqueda",
    found="Llamadas nuevas",
    filled="Llamadas completadas",
    backfill="Importación desde {since}",
    backfill_runs="Petición {done} de unas {all}: {calls} llamadas, {new} de ellas nuevas.",
    backfill_stopped="Interrumpida tras {done} de unas {all} peticiones. El mismo comando (relay backfill) la continúa.",
)
