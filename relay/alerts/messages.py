"""The body of an alert, for programs, for Slack and for Teams. Pure.

A sentence may quote a CRM, and a CRM quotes what others sent. No format reads it as markup.
"""

from typing import Any, Final

import msgspec

from relay.alerts.conditions import Condition, Kind
from relay.alerts.decisions import Signal
from relay.instants import Instant, iso
from relay.logs import mask_text
from relay.operations.languages import Language, Text
from relay.standards.unprintable import escape_unprintable

_LONGEST: Final = 1_500
_TITLES: Final = {
    Kind.DESTINATION_PAUSED: (
        Text("{subject} is paused", "{subject} está en pausa"),
        Text("{subject} delivers again", "{subject} vuelve a recibir llamadas"),
    ),
    Kind.NOTHING_DELIVERED: (
        Text("No destination delivers", "Ningún destino recibe llamadas"),
        Text("Calls are delivered again", "Se vuelven a entregar llamadas"),
    ),
    Kind.DEAD_LETTERS: (
        Text(
            "Calls could not be delivered to {subject}",
            "Hay llamadas que no se pudieron entregar a {subject}",
        ),
        Text("", ""),
    ),
    Kind.NO_EVENTS: (
        Text("CloudTalk sends nothing", "CloudTalk no envía nada"),
        Text("CloudTalk sends again", "CloudTalk vuelve a enviar"),
    ),
    Kind.HISTORY: (
        Text("CloudTalk's history cannot be read", "No se puede leer el historial de CloudTalk"),
        Text("CloudTalk's history is read again", "Se vuelve a leer el historial de CloudTalk"),
    ),
    Kind.LEDGER: (
        Text("The relay on {subject} accepts no events", "El relay de {subject} no acepta eventos"),
        Text("The relay on {subject} accepts events again", "El relay de {subject} vuelve a aceptar eventos"),
    ),
    Kind.DISK: (
        Text("The disk of {subject} is nearly full", "El disco de {subject} está casi lleno"),
        Text("The disk of {subject} has space again", "El disco de {subject} vuelve a tener espacio"),
    ),
    Kind.AUDIT: (
        Text("The audit found something to look at", "La auditoría encontró algo por revisar"),
        Text("The audit: complete and right", "La auditoría: completo y correcto"),
    ),
}


class Message(msgspec.Struct, frozen=True):
    """One alert, in one language. `id`: the same in each try to send it. `url`: of the console. `details`:
    for programs.
    """

    id: str
    kind: Kind
    subject: str
    signal: Signal
    title: str
    text: str
    at: Instant
    url: str
    details: dict[str, Any] | None = None


def build_message(
    id_: str, condition: Condition, signal: Signal, language: Language, *, at: Instant, url: str
) -> Message:
    """Write the message about a condition, without secrets and personal data."""
    title = _TITLES[condition.kind][signal is Signal.RESOLVED].fill(subject=condition.subject)
    text = escape_unprintable(mask_text(condition.text.read(language)))
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    return Message(
        id_,
        condition.kind,
        condition.subject,
        signal,
        title.read(language),
        text,
        at,
        url,
        condition.details,
    )


def encode(message: Message, format_: str) -> bytes:
    """Return the body of the request. `format_`: a value of the setting `alerts.format`."""
    body = {"json": _for_programs, "slack": _for_slack, "teams": _for_teams}[format_](message)
    return msgspec.json.encode(body)


def _for_programs(message: Message) -> dict[str, Any]:
    return {
        "type": f"alert.{message.signal}",
        "timestamp": iso(message.at),
        "data": {
            "kind": message.kind,
            "subject": message.subject,
            "state": message.signal,
            "title": message.title,
            "message": message.text,
            "console_url": message.url,
            **({} if message.details is None else {str(message.kind): message.details}),
        },
    }


def _for_slack(message: Message) -> dict[str, Any]:
    headline = f"{_sign(message)} {message.title}"
    return {
        # Shown in notifications; Slack reads markup in it.
        "text": _escape_slack(f"{headline}: {message.text}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": headline[:150]}},
            {"type": "section", "text": {"type": "plain_text", "text": message.text}},
            {"type": "context", "elements": [{"type": "plain_text", "text": message.url}]},
        ],
    }


def _escape_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _for_teams(message: Message) -> dict[str, Any]:
    def paragraph(text: str, **style: str) -> dict[str, Any]:
        # A TextBlock would read Markdown.
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}

    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [
            paragraph(f"{_sign(message)} {message.title}", weight="Bolder", size="Large"),
            paragraph(message.text),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "CloudTalk Relay", "url": message.url}],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _sign(message: Message) -> str:
    return "🔴" if message.signal is Signal.FIRING else "🟢"
