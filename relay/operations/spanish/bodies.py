"""Why a body is in quarantine."""

from typing import Final

TEXTS: Final = {
    "the body is larger than {} bytes": "el cuerpo tiene más de {} bytes",
    "the sender of the body was too slow": "el remitente del cuerpo fue demasiado lento",
    "the connection was closed in the middle of the body": "la conexión se cerró a mitad del cuerpo",
    "the method {} is not supported": "no se admite el método {}",
    "{} is none of JSON, form or text": "{} no es JSON, formulario ni texto",
    "{} is none of gzip, deflate, identity": "{} no es gzip, deflate ni identity",
    "the body cannot be decompressed: {}": "no se puede descomprimir el cuerpo: {}",
    "the decompressed body is larger than {} bytes": "el cuerpo descomprimido tiene más de {} bytes",
    "the compressed body is incomplete": "el cuerpo comprimido está incompleto",
    "more than {} values in one body": "más de {} valores en un cuerpo",
    "more than {} escapes in one form": "más de {} secuencias de escape en un formulario",
    "more than {} events in one body": "más de {} eventos en un cuerpo",
    "the body is neither JSON nor a form": "el cuerpo no es JSON ni un formulario",
    "the body is neither JSON nor a form: {}": "el cuerpo no es JSON ni un formulario: {}",
    "the query cannot be parsed: {}": "no se puede leer la consulta de la URL: {}",
    "the body is not JSON: {}": "el cuerpo no es JSON: {}",
    "nested deeper than {} levels": "anidado a más de {} niveles",
    "{} is not a JSON number": "{} no es un número de JSON",
    "a number of more than 64 bits": "un número de más de 64 bits",
    "expected an object with event and data": "se esperaba un objeto con event y data",
    "company_id {} is none of cloudtalk.company_ids": "company_id {} no está en cloudtalk.company_ids",
    "{}: expected an object": "{}: se esperaba un objeto",
    "event: expected text": "event: se esperaba un texto",
    "the call's id is missing{}": "falta el id de la llamada{}",
    ": call_uuid, call_id or id{}": ": call_uuid, call_id o id{}",
    "; {} was typed; choose it from the picker in CloudTalk": (
        "; {} está escrito a mano; elíjalo en el selector de variables de CloudTalk"
    ),
    "; each of {} was typed; choose it from the picker in CloudTalk": (
        "; están escritos a mano: {}; elija cada uno en el selector de variables de CloudTalk"
    ),
    "; each of {} and {} more was typed; choose it from the picker in CloudTalk": (
        "; están escritos a mano: {} y {} más; elija cada uno en el selector de variables de CloudTalk"
    ),
    "{}: {}": "{}: {}",
    "expected an id of at most {} characters": "se esperaba un id de {} caracteres como máximo",
    "unknown status {}": "estado desconocido: {}",
    "an unrendered {{ … }} variable": "una variable {{{{ … }}}} sin sustituir",
    "expected a time such as 2024-11-28T10:30:00Z": "se esperaba una hora como 2024-11-28T10:30:00Z",
    "expected a time from 1970 to 9998": "se esperaba una hora entre 1970 y 9998",
    "expected a duration in seconds": "se esperaba una duración en segundos",
    "expected text": "se esperaba un texto",
    "expected a telephone number": "se esperaba un número de teléfono",
    "expected a web address": "se esperaba una dirección web",
    "expected true or false": "se esperaba true o false",
    "expected inbound, outbound or internal": "se esperaba inbound, outbound o internal",
    "{}: expected at most {} characters": "{}: se esperaban {} caracteres como máximo",
    "{} belongs to another call: the event was folded without it (a typed constant?)": (
        "{} pertenece a otra llamada: el evento se procesó sin él (¿un valor escrito a mano?)"
    ),
}
