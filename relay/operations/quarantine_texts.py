"""What each reason of the quarantine means, and what to change in CloudTalk, in both languages."""

from typing import Final

from relay.operations.languages import Text

_JSON: Final = Text(
    "The body is neither JSON nor a form. In CloudTalk, choose the body type JSON in the workflow's API"
    " request,"
    " and let CloudTalk write the body from its keys and values instead of typing it.",
    "El cuerpo no es JSON ni un formulario. En CloudTalk, elija el tipo JSON en la petición API del"
    " workflow y deje"
    " que CloudTalk escriba el cuerpo a partir de las claves y los valores, en lugar de escribirlo a mano.",
)
_LARGE: Final = Text(
    "The body is larger, or has more values, than the relay accepts. Remove keys from the workflow that no"
    " CRM"
    " needs, or raise cloudtalk.max_body_bytes.",
    "El cuerpo es más grande, o tiene más valores, de lo que acepta el relay. Quite del workflow las"
    " claves que"
    " ningún CRM necesita o aumente cloudtalk.max_body_bytes.",
)
_UNKNOWN: Final = Text(
    "The entry could not be used. The message says what was expected; correct it in CloudTalk, then retry"
    " or drop"
    " the entry.",
    "La entrada no se pudo usar. El mensaje dice qué se esperaba; corríjalo en CloudTalk y después"
    " reintente o"
    " descarte la entrada.",
)
_ADVICE: Final = {
    "not_json": _JSON,
    "encoding": Text(
        "The characters or the compression of the body cannot be read. In CloudTalk, send the body as JSON"
        " in UTF-8,"
        " without compression.",
        "No se pueden leer los caracteres o la compresión del cuerpo. En CloudTalk, envíe el cuerpo como"
        " JSON en"
        " UTF-8 y sin compresión.",
    ),
    "oversize": _LARGE,
    "too_many_values": _LARGE,
    "too_many": _LARGE,
    "too_deep": _LARGE,
    "missing_id": Text(
        "The event names no call. In the workflow, add the key call_uuid or call_id, and choose its value"
        " from"
        " CloudTalk's list of variables: a typed {{variable}} arrives as text.",
        "El evento no nombra ninguna llamada. En el workflow, añada la clave call_uuid o call_id y elija"
        " su valor en"
        " la lista de variables de CloudTalk: una {{variable}} escrita a mano llega como texto.",
    ),
    "unreadable_field": Text(
        "A value of the event cannot be read. In the workflow, choose the value of this key from"
        " CloudTalk's list of"
        " variables, with the format String.",
        "No se puede leer un valor del evento. En el workflow, elija el valor de esta clave en la lista de"
        " variables"
        " de CloudTalk, con el formato String.",
    ),
    "not_an_event": Text(
        "The body is no object with keys. In the workflow's API request, enter keys and values.",
        "El cuerpo no es un objeto con claves. En la petición API del workflow, escriba claves y valores.",
    ),
    "unknown_event": Text(
        "The relay does not know this event of CloudTalk. End the URL of the workflow with the name of an"
        " event, such"
        " as call.ended; if it is new in CloudTalk, upgrade the relay and retry.",
        "El relay no conoce este evento de CloudTalk. Termine la URL del workflow con el nombre de un"
        " evento, como"
        " call.ended; si es nuevo en CloudTalk, actualice el relay y reintente.",
    ),
    "foreign_company": Text(
        "The webhook comes from a CloudTalk account that cloudtalk.company_ids does not list. Add its"
        " company_id and"
        " restart the relay, or remove the webhook in that account.",
        "El webhook viene de una cuenta de CloudTalk que no está en cloudtalk.company_ids. Añada su"
        " company_id y"
        " reinicie el relay, o elimine el webhook en esa cuenta.",
    ),
    "conflicting_ids": Text(
        "An id of this event belongs to another call, so the event was used without it. In the workflow,"
        " the id is"
        " probably typed instead of chosen from CloudTalk's list of variables. Correct it, then drop the"
        " entry.",
        "Un id de este evento pertenece a otra llamada, así que el evento se usó sin él. Seguramente el id"
        " está"
        " escrito a mano en el workflow en lugar de elegido en la lista de variables de CloudTalk."
        " Corríjalo y"
        " descarte la entrada.",
    ),
    "set_aside": Text(
        "The relay failed on this event and went on without it. Upgrade the relay and retry; if it fails"
        " again, report"
        " the event.",
        "El relay falló con este evento y siguió sin él. Actualice el relay y reintente; si vuelve a"
        " fallar, informe"
        " del evento.",
    ),
}


def advice_for(reason: str) -> Text:
    """Return what this reason means, and what to do."""
    return _ADVICE.get(reason, _UNKNOWN)
