"""Texts of the page of one call."""

from typing import Final

import msgspec


class CallTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the page."""

    back: str
    back_to_search: str
    unknown_title: str
    deliveries: str
    no_deliveries: str
    attempts: str
    attempt: str
    outcome: str
    took: str
    answer: str
    open_record: str
    push: str
    push_all: str
    push_done: str
    push_excluded: str
    recording: str
    no_player: str
    open_recording: str
    record: str
    legs: str
    leg_agent: str
    leg_began: str
    leg_outcome: str
    talked: str
    events: str
    events_note: str
    events_shown: str
    event: str
    dialect: str
    said: str
    received: str
    raw: str
    notes: str
    transcript: str
    summary: str
    tags: str
    follow_up: str
    called_back: str
    missed_reason: str
    smart_notes: str
    yes: str
    id: str
    call_id: str
    call_uuid: str
    company_number: str
    external_number: str
    agent: str
    started: str
    answered: str
    ended: str
    response: str
    talking: str
    waiting: str
    wrapup: str
    version: str
    story: str
    story_note: str
    step_left_out: str
    step_received: str
    step_linked: str
    step_merged: str
    step_delivered: str
    step_verified: str
    step_retracted: str
    step_refused: str
    step_failed: str
    step_paused: str
    step_person: str


ENGLISH: Final = CallTexts(
    back="All calls",
    back_to_search="Back to the list",
    unknown_title="No call has this id",
    deliveries="In the CRMs",
    no_deliveries="This call was delivered to no CRM.",
    attempts="Attempts",
    attempt="When",
    outcome="Outcome",
    took="Took",
    answer="Answer of the CRM",
    open_record="Open in {destination}",
    push="Send again",
    push_all="Send to all CRMs again",
    push_done="The call is sent again. The state below changes in a moment.",
    push_excluded="The call was not sent again: it is internal, or the filter of the CRM excludes it.",
    recording="Recording",
    no_player="This browser plays no audio.",
    open_recording="Open the recording in CloudTalk",
    record="Record",
    legs="Agents",
    leg_agent="Agent",
    leg_began="Began",
    leg_outcome="Outcome",
    talked="Talked",
    events="Events",
    events_note="What CloudTalk sent about this call, in the order of arrival. Secrets are removed.",
    events_shown="These are the last {shown} of {number}.",
    event="Event",
    dialect="Form",
    said="Stated time",
    received="Received",
    raw="Body",
    notes="Notes",
    transcript="Transcript",
    summary="Summary",
    tags="Tags",
    follow_up="Needs an answer",
    called_back="Called back {time}",
    missed_reason="Why it was missed",
    smart_notes="Smart notes",
    yes="Yes",
    id="Id",
    call_id="call_id",
    call_uuid="call_uuid",
    company_number="Company's number",
    external_number="Customer's number",
    agent="Agent",
    started="Started",
    answered="Answered",
    ended="Ended",
    response="Time to answer",
    talking="Talking",
    waiting="Waiting",
    wrapup="Wrap-up",
    version="Version",
    story="Story",
    story_note="What happened to this call, in order.",
    step_left_out="Earlier",
    step_received="Received",
    step_linked="Linked",
    step_merged="Merged",
    step_delivered="Delivered",
    step_verified="Compared",
    step_retracted="Removed",
    step_refused="Rejected",
    step_failed="Failed",
    step_paused="Paused",
    step_person="By a person",
)

SPANISH: Final = CallTexts(
    back="Todas las llamadas",
    back_to_search="Volver a la lista",
    unknown_title="Ninguna llamada tiene este id",
    deliveries="En los CRM",
    no_deliveries="Esta llamada no se ha entregado a ningún CRM.",
    attempts="Intentos",
    attempt="Cuándo",
    outcome="Resultado",
    took="Tardó",
    answer="Respuesta del CRM",
    open_record="Abrir en {destination}",
    push="Enviar otra vez",
    push_all="Enviar otra vez a todos los CRM",
    push_done="La llamada se envía otra vez. El estado de abajo cambiará en un momento.",
    push_excluded="La llamada no se ha enviado otra vez: es interna o el filtro del CRM la excluye.",
    recording="Grabación",
    no_player="Este navegador no reproduce audio.",
    open_recording="Abrir la grabación en CloudTalk",
    record="Registro",
    legs="Agentes",
    leg_agent="Agente",
    leg_began="Inicio",
    leg_outcome="Resultado",
    talked="Habló",
    events="Eventos",
    events_note="Lo que CloudTalk envió sobre esta llamada, por orden de llegada. Sin los secretos.",
    events_shown="Son los últimos {shown} de {number}.",
    event="Evento",
    dialect="Formato",
    said="Hora indicada",
    received="Recibido",
    raw="Contenido",
    notes="Notas",
    transcript="Transcripción",
    summary="Resumen",
    tags="Etiquetas",
    follow_up="Requiere respuesta",
    called_back="Devuelta {time}",
    missed_reason="Motivo",
    smart_notes="Notas inteligentes",
    yes="Sí",
    id="Id",
    call_id="call_id",
    call_uuid="call_uuid",
    company_number="Número de la empresa",
    external_number="Número del cliente",
    agent="Agente",
    started="Inicio",
    answered="Respuesta",
    ended="Fin",
    response="Tiempo de respuesta",
    talking="Conversación",
    waiting="Espera",
    wrapup="Cierre",
    version="Versión",
    story="Historia",
    story_note="Lo que ocurrió con esta llamada, por orden.",
    step_left_out="Antes",
    step_received="Recibido",
    step_linked="Enlazado",
    step_merged="Unida",
    step_delivered="Entregada",
    step_verified="Comparada",
    step_retracted="Retirada",
    step_refused="Rechazada",
    step_failed="Fallo",
    step_paused="En pausa",
    step_person="Una persona",
)
