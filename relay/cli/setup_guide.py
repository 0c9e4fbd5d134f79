"""What to type into CloudTalk, so that it tells the relay of every call.

One table says which trigger of CloudTalk's Workflow Automations sends what; the texts of a language
say it to a person. `docs/cloudtalk-setup.md` and `docs/es/configuracion-cloudtalk.md` hold the same,
rendered with placeholders.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from relay.settings import Settings
from relay.standards.addresses import is_loopback

Lang = Literal["en", "es"]

_AGENT: Final = ("agent_id", "agent_first_name", "agent_last_name", "agent_email")
_CONTACT: Final = ("contact_id", "contacts[0].name")
_NUMBERS: Final = ("direction", "external_number", "internal_number")


class Trigger(msgspec.Struct, frozen=True):
    """One workflow to make: CloudTalk's name of the trigger, the event that the URL ends in, and the
    properties to send, which are the keys of the body and CloudTalk's variables alike.
    """

    name: str
    event: str
    properties: tuple[str, ...]


TRIGGERS: Final = (
    Trigger("Call Started", "call.started", ("call_uuid", *_NUMBERS, "started_at", *_CONTACT)),
    Trigger("Call Ringing on Agent", "call.ringing", ("call_uuid", *_NUMBERS, *_AGENT)),
    Trigger("Call Answered", "call.answered", ("call_uuid", *_NUMBERS, "started_at", *_AGENT, *_CONTACT)),
    Trigger("Call Modified", "call.modified", ("call_uuid", *_NUMBERS, *_CONTACT, "tags")),
    Trigger(
        "Call Ended",
        "call.ended",
        (
            "call_uuid",
            "call_id",
            *_NUMBERS,
            "started_at",
            "ended_at",
            "talking_time",
            "waiting_time",
            "wrapup_time",
            "is_voicemail",
            *_AGENT,
            *_CONTACT,
            "tags",
            "recording_url",
        ),
    ),
    Trigger(
        "Recording Uploaded",
        "recording.uploaded",
        ("call_id", "recording_url", "external_number", "internal_number"),
    ),
    Trigger("Transcription Created", "transcription.created", ("call_id", "transcript", "recording_url")),
)

SIGNED_EVENTS: Final = ("call.ended", "call.recording_ready", "transcript.ready", "cidata.ready")


class Request(msgspec.Struct, frozen=True):
    """One API Request as it is typed into CloudTalk; `body` says which variable each key gets."""

    trigger: str
    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, str]


class Signed(msgspec.Struct, frozen=True):
    """One native webhook: where it goes, what it tells, and which setting takes its secret."""

    url: str
    events: tuple[str, ...]
    setting: str = "cloudtalk.signing_secrets"


class CloudTalkSetup(msgspec.Struct, frozen=True):
    """All that is to be done in CloudTalk. `warnings` are what to set first."""

    triggers: list[Request]
    signed: Signed
    warnings: list[str]


def cloudtalk_setup(settings: Settings, lang: Lang = "en") -> CloudTalkSetup:
    """What to type, with the URL, the path and the first token of these settings."""
    texts = TEXTS[lang]
    tokens = settings.cloudtalk.tokens
    hook = settings.server.public_url + settings.cloudtalk.webhook_path
    token = tokens[0].get_secret_value() if tokens else texts.placeholder
    return setup_for(hook, token, _warnings(settings, texts))


def setup_for(hook: str, token: str, warnings: Sequence[str] = ()) -> CloudTalkSetup:
    """What to type for the hook at this URL, opened by this token."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    requests = [
        Request(
            trigger.name,
            "POST",
            f"{hook}/{trigger.event}",
            headers,
            {key: f"{{{{{key}}}}}" for key in trigger.properties},
        )
        for trigger in TRIGGERS
    ]
    return CloudTalkSetup(requests, Signed(hook, SIGNED_EVENTS), list(warnings))


def _warnings(settings: Settings, texts: "Texts") -> list[str]:
    warnings = [] if settings.cloudtalk.tokens else [texts.warn_closed]
    if is_loopback(urlsplit(settings.server.public_url).hostname or ""):
        warnings.append(texts.warn_loopback.format(url=settings.server.public_url))
    return warnings


# --- in words ---------------------------------------------------------------------------------


class Texts(msgspec.Struct, frozen=True):
    """All that is said to a person, in one language."""

    placeholder: str
    warn_closed: str
    warn_loopback: str
    workflows: str
    header: str
    key: str
    value: str
    steps: tuple[str, ...]
    each: str
    signed: str
    signed_steps: tuple[str, ...]


TEXTS: Final[dict[Lang, Texts]] = {
    "en": Texts(
        placeholder="YOUR_TOKEN",
        warn_closed="No token is set: CloudTalk would be turned away. Set cloudtalk.tokens first "
        "(a good token: openssl rand -hex 32), restart the relay, and run this again.",
        warn_loopback="CloudTalk cannot reach {url}, which is this machine alone. Set server.public_url "
        "first to the address under which the relay is seen from outside, https://…, and run this again.",
        workflows="Workflow Automations",
        header="Header",
        key="Key",
        value="Value",
        steps=(
            "In CloudTalk open **Settings → Workflow Automations** and choose **+ Add Workflow**.",
            "Choose the trigger that the heading names: first its object, then its action. No conditions.",
            "Choose **+ Add action → API Request**. Take over the method and the URL (*Endpoint*).",
            "Under *Headers* type the two headers, the same ones in every workflow.",
            (
                "Under *Values* type each key as it stands below, format *String*. Choose its value from "
                "CloudTalk's picker of variables: it is the one named as shown between the braces. Text "
                "typed by hand is sent as it is, and says nothing about the call. A variable that the "
                "picker does not offer for this trigger is left out."
            ),
            "Save and activate the workflow, and go on with the next one.",
        ),
        each="These two headers go with every request:",
        signed="Native signed webhooks",
        signed_steps=(
            "Where your CloudTalk account offers signed webhooks, add an endpoint with this URL: `{url}`",
            "Choose these events: {events}",
            (
                "Copy the secret that CloudTalk shows, `whsec_…`, into the list `{setting}` of the settings, "
                "and restart the relay. While you change secrets, list the old and the new one."
            ),
            "Workflows and webhooks may both be active: a call is one record, however often it is told.",
        ),
    ),
    "es": Texts(
        placeholder="TU_TOKEN",
        warn_closed="No hay ningún token: el relay rechazaría a CloudTalk. Primero pon uno en "
        "cloudtalk.tokens (uno bueno: openssl rand -hex 32), reinicia el relay y repite esta orden.",
        warn_loopback="CloudTalk no puede llegar a {url}, que es solo esta máquina. Primero pon en "
        "server.public_url la dirección con la que se ve el relay desde fuera, https://…, y repite esta "
        "orden.",
        workflows="Workflow Automations",
        header="Cabecera",
        key="Clave",
        value="Valor",
        steps=(
            "En CloudTalk abre **Settings → Workflow Automations** y elige **+ Add Workflow**.",
            (
                "Elige el disparador (*trigger*) que dice el título: primero el objeto y luego la acción. "
                "Sin condiciones."
            ),
            "Elige **+ Add action → API Request**. Copia el método y la URL (*Endpoint*).",
            "En *Headers* escribe las dos cabeceras, las mismas en todos los workflows.",
            (
                "En *Values* escribe cada clave tal como está abajo, con formato *String*. Elige su valor "
                "en el selector de variables de CloudTalk: es la que se llama como se ve entre las llaves. "
                "Un texto escrito a mano se envía tal cual y no dice nada de la llamada. La variable que el "
                "selector no ofrezca para ese disparador se deja fuera."
            ),
            "Guarda y activa el workflow, y sigue con el siguiente.",
        ),
        each="Estas dos cabeceras van con todas las peticiones:",
        signed="Webhooks nativos firmados",
        signed_steps=(
            "Si tu cuenta de CloudTalk ofrece webhooks firmados, añade un endpoint con esta URL: `{url}`",
            "Elige estos eventos: {events}",
            (
                "Copia el secreto que muestra CloudTalk, `whsec_…`, en la lista `{setting}` de la "
                "configuración y reinicia el relay. Mientras cambias de secreto, pon el viejo y el nuevo."
            ),
            (
                "Los workflows y los webhooks pueden estar activos a la vez: una llamada es un solo "
                "registro, se cuente las veces que se cuente."
            ),
        ),
    ),
}


def render(setup: CloudTalkSetup, lang: Lang) -> str:
    """The whole of it as Markdown, warnings aside."""
    texts = TEXTS[lang]
    return "\n".join((*_workflows(setup, texts), *_signed(setup.signed, texts)))


def _workflows(setup: CloudTalkSetup, texts: Texts) -> Iterator[str]:
    yield f"## {texts.workflows}\n"
    yield from _numbered(texts.steps)
    yield f"\n{texts.each}\n"
    yield from _table(texts.header, texts.value, setup.triggers[0].headers)
    for request in setup.triggers:
        yield f"\n### {request.trigger}\n\n`{request.method} {request.url}`\n"
        yield from _table(texts.key, texts.value, request.body)


def _signed(signed: Signed, texts: Texts) -> Iterator[str]:
    yield f"\n## {texts.signed}\n"
    said = {
        "url": signed.url,
        "events": ", ".join(f"`{event}`" for event in signed.events),
        "setting": signed.setting,
    }
    yield from _numbered([step.format_map(said) for step in texts.signed_steps])


def _numbered(steps: Sequence[str]) -> Iterator[str]:
    yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))


def _table(left: str, right: str, rows: dict[str, str]) -> Iterator[str]:
    yield f"| {left} | {right} |\n|---|---|"
    yield from (f"| `{key}` | `{value}` |" for key, value in rows.items())
