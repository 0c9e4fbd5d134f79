"""The texts that the relay writes into HubSpot, in each language of the setting `language`."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from relay.call import missed_reason_in_spanish

Language = Literal["en", "es"]


class Texts(msgspec.Struct, frozen=True):
    """The texts of one language.

    `calls`: what a call is called, by direction, "" for an unknown one. `prepositions`: the word before the
    customer, likewise. `headings`: of a field in the body of a call; other fields have their own name.
    `missed_reason`: translates the reason of a missed call.
    """

    calls: Mapping[str, str]
    prepositions: Mapping[str, str]
    missed_call: str
    voicemail: str
    unknown_number: str
    recording: str
    headings: Mapping[str, str]
    cut: str
    task_subject: str
    task_body: str
    task_body_many: str
    called_number: str
    task_completed: str
    called_back: str
    called_back_by: str
    missed_reason: Callable[[str], str]


TEXTS: Final[Mapping[Language, Texts]] = {
    "en": Texts(
        calls={
            "inbound": "Inbound call",
            "outbound": "Outbound call",
            "internal": "Internal call",
            "": "Call",
        },
        prepositions={"inbound": "from", "outbound": "to", "internal": "with", "": "with"},
        missed_call="Missed call",
        voicemail="Voicemail",
        unknown_number="an unknown number",
        recording="Recording",
        headings={"missed_reason": "Why it was missed"},
        cut="cut",
        task_subject="Call back {customer}",
        task_body="{kind} on {time} ({timezone}) from {customer}.",
        task_body_many="{count} missed calls on {day} ({timezone}) from {customer}: {times}.",
        called_number="They called {number}.",
        task_completed="Nobody needs to call back any more: the call was answered after all.",
        called_back="Called back after {after}.",
        called_back_by="Called back after {after} by {agent}.",
        missed_reason=str,
    ),
    "es": Texts(
        calls={
            "inbound": "Llamada entrante",
            "outbound": "Llamada saliente",
            "internal": "Llamada interna",
            "": "Llamada",
        },
        prepositions={"inbound": "de", "outbound": "a", "internal": "con", "": "con"},
        missed_call="Llamada perdida",
        voicemail="Mensaje de voz",
        unknown_number="un número desconocido",
        recording="Grabación",
        headings={
            "summary": "Resumen",
            "notes": "Notas",
            "tags": "Etiquetas",
            "transcript": "Transcripción",
            "call_id": "Id de la llamada",
            "call_uuid": "UUID de la llamada",
            "direction": "Dirección",
            "status": "Estado",
            "state": "Estado",
            "from": "De",
            "to": "A",
            "external_number": "Número externo",
            "internal_number": "Número interno",
            "contact_id": "Id del contacto",
            "contact_name": "Contacto",
            "agent_id": "Id del agente",
            "agent_name": "Agente",
            "agent_email": "Correo del agente",
            "started_at": "Inicio",
            "answered_at": "Respuesta",
            "ended_at": "Fin",
            "response_seconds": "Segundos hasta la respuesta",
            "duration_seconds": "Duración en segundos",
            "talking_seconds": "Segundos de conversación",
            "waiting_seconds": "Segundos de espera",
            "wrapup_seconds": "Segundos de cierre",
            "recording_url": "Grabación",
            "follow_up": "Seguimiento",
            "called_back_at": "Fecha de la devolución",
            "called_back_by": "Devuelta por",
            "missed_reason": "Motivo de la llamada perdida",
            "smart_notes": "Notas inteligentes",
            "cloudtalk_data": "Datos de CloudTalk",
        },
        cut="cortado",
        task_subject="Devolver la llamada a {customer}",
        task_body="{kind} el {time} ({timezone}) de {customer}.",
        task_body_many="{count} llamadas perdidas el {day} ({timezone}) de {customer}: {times}.",
        called_number="Llamó al {number}.",
        task_completed="Ya no hay que devolver la llamada: al final se atendió.",
        called_back="Se habló con el cliente {after} después.",
        called_back_by="{agent} habló con el cliente {after} después.",
        missed_reason=missed_reason_in_spanish,
    ),
}
