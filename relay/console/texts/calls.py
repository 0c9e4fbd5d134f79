"""Texts of the list of calls, and of the words for what a call is."""

from typing import Final

import msgspec


class WordTexts(msgspec.Struct, frozen=True, kw_only=True):
    """Words for statuses, directions and states. Their names begin with the kind and end with the value."""

    status_in_progress: str
    status_answered: str
    status_completed: str
    status_missed: str
    status_voicemail: str
    status_no_answer: str
    direction_inbound: str
    direction_outbound: str
    direction_internal: str
    direction_unknown: str
    delivery_pending: str
    delivery_delivered: str
    delivery_dead: str
    delivery_filtered: str
    delivery_dropped: str
    delivery_retracted: str
    destination_delivering: str
    destination_waiting: str
    destination_paused: str
    destination_disabled: str
    destination_orphaned: str


class CallsTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the list."""

    title: str
    lists: str
    all_calls: str
    to_call_back: str
    to_call_back_note: str
    live: str
    paused: str
    search: str
    search_hint: str
    filters: str
    agent: str
    status: str
    direction: str
    destination: str
    delivery: str
    day: str
    any: str
    apply: str
    clear: str
    export: str
    list: str
    time: str
    contact: str
    duration: str
    deliveries: str
    no_number: str
    in_no_crm: str
    next: str
    first: str
    searched_until: str
    new_calls: str
    none_title: str
    none_text: str
    none_link: str
    no_more: str
    no_match_title: str
    no_match_text: str
    problem_words: str
    problem_value: str
    times_in: str


ENGLISH_WORDS: Final = WordTexts(
    status_in_progress="In progress",
    status_answered="Talking",
    status_completed="Completed",
    status_missed="Missed",
    status_voicemail="Voicemail",
    status_no_answer="No answer",
    direction_inbound="Inbound",
    direction_outbound="Outbound",
    direction_internal="Internal",
    direction_unknown="Unknown",
    delivery_pending="Pending",
    delivery_delivered="Delivered",
    delivery_dead="Failed",
    delivery_filtered="Filtered",
    delivery_dropped="Dropped",
    delivery_retracted="Removed",
    destination_delivering="Delivering",
    destination_waiting="Waiting",
    destination_paused="Paused",
    destination_disabled="Disabled",
    destination_orphaned="Not in the settings",
)

SPANISH_WORDS: Final = WordTexts(
    status_in_progress="En progreso",
    status_answered="Hablando",
    status_completed="Completada",
    status_missed="Perdida",
    status_voicemail="Buzón de voz",
    status_no_answer="Sin respuesta",
    direction_inbound="Entrante",
    direction_outbound="Saliente",
    direction_internal="Interna",
    direction_unknown="Desconocida",
    delivery_pending="Pendiente",
    delivery_delivered="Entregada",
    delivery_dead="Fallida",
    delivery_filtered="Filtrada",
    delivery_dropped="Descartada",
    delivery_retracted="Retirada",
    destination_delivering="Entregando",
    destination_waiting="En espera",
    destination_paused="En pausa",
    destination_disabled="Desactivado",
    destination_orphaned="No está en la configuración",
)

ENGLISH: Final = CallsTexts(
    title="Calls",
    lists="Lists of calls",
    all_calls="All calls",
    to_call_back="To call back",
    to_call_back_note="Missed calls of the last seven days after which nobody has talked to the customer: the last one of each number, who waits longest first.",
    live="Live",
    paused="Paused",
    search="Search",
    search_hint="Number, name, agent or id",
    filters="Filters",
    agent="Agent",
    status="Status",
    direction="Direction",
    destination="CRM",
    delivery="Delivery",
    day="Day",
    any="All",
    apply="Show",
    clear="Clear the search",
    export="Export CSV",
    list="Calls, the newest first",
    time="Time",
    contact="Contact",
    duration="Duration",
    deliveries="In the CRMs",
    no_number="Unknown number",
    in_no_crm="In no CRM",
    next="Older calls",
    first="Newest calls",
    searched_until="Searched back to {time}. Go on to search older calls, or limit the search to a day.",
    new_calls="New calls: {number}",
    none_title="No calls yet",
    none_text="As soon as CloudTalk sends the first event, its call appears here, without reloading.",
    none_link="What to enter in CloudTalk",
    no_more="No more calls",
    no_match_title="No call matches",
    no_match_text="Try a part of the number, the beginning of a name, or fewer filters.",
    problem_words="Search for letters, or for at least two digits of a number.",
    problem_value="The address of this page has a filter that does not exist. Clear the filters.",
    times_in="Times in {zone}",
)

SPANISH: Final = CallsTexts(
    title="Gestión de llamadas",
    lists="Listas de llamadas",
    all_calls="Todas",
    to_call_back="Por devolver",
    to_call_back_note="Llamadas perdidas de los últimos siete días tras las que nadie ha hablado con el cliente: la última de cada número; primero, quien más espera.",
    live="En directo",
    paused="En pausa",
    search="Buscar",
    search_hint="Número, nombre, agente o id",
    filters="Filtros",
    agent="Agente",
    status="Estado",
    direction="Dirección",
    destination="CRM",
    delivery="Entrega",
    day="Día",
    any="Todas",
    apply="Mostrar",
    clear="Quitar la búsqueda",
    export="Exportar CSV",
    list="Llamadas, las más recientes primero",
    time="Hora",
    contact="Contacto",
    duration="Duración",
    deliveries="En los CRM",
    no_number="Número desconocido",
    in_no_crm="En ningún CRM",
    next="Llamadas anteriores",
    first="Llamadas más recientes",
    searched_until="Se ha buscado hasta {time}. Continúe para buscar en llamadas anteriores o limite la búsqueda a un día.",
    new_calls="Llamadas nuevas: {number}",
    none_title="Aún no hay llamadas",
    none_text="En cuanto CloudTalk envíe el primer evento, su llamada aparecerá aquí sin recargar la página.",
    none_link="Qué hay que introducir en CloudTalk",
    no_more="No hay más llamadas",
    no_match_title="Ninguna llamada coincide",
    no_match_text="Pruebe con una parte del número, el principio de un nombre o menos filtros.",
    problem_words="Busque letras, o al menos dos cifras de un número.",
    problem_value="La dirección de esta página tiene un filtro que no existe. Quite los filtros.",
    times_in="Horas en {zone}",
)
