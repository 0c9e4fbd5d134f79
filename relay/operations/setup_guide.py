"""The guide for setting up CloudTalk: its triggers, URLs and keys, and its text as Markdown.

`TRIGGERS` says which trigger of CloudTalk's Workflow Automations sends which variables. The command
`relay cloudtalk-setup` prints the guide with the settings of the user; `docs/cloudtalk-setup.md` and
`docs/es/cloudtalk-setup.md` contain it with placeholders. For the texts see `setup_guide_texts`.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from relay.operations.setup_guide_texts import TEXTS, Lang, Texts
from relay.settings import Settings, review_public_url
from relay.standards.addresses import is_loopback

_AGENT: Final = ("agent_id", "agent_first_name", "agent_last_name", "agent_email")
_CONTACT: Final = ("contact_id", "contacts[0].name")
_NUMBERS: Final = ("direction", "external_number", "internal_number")


class Trigger(msgspec.Struct, frozen=True):
    """One workflow to create.

    `name` is CloudTalk's name of the trigger, `event` the last segment of the URL. `properties` are
    CloudTalk's variables; the body has a key of the same name for each.
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
    """One *API Request* of a workflow. `body` has the variable of each key."""

    trigger: str
    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, str]


class SignedWebhook(msgspec.Struct, frozen=True):
    """The native webhook to create. `setting` is the key of the settings that names the file
    of its secret.
    """

    url: str
    events: tuple[str, ...]
    setting: str = "cloudtalk.signing_secrets_file"


class Guide(msgspec.Struct, frozen=True):
    """Everything to enter in CloudTalk. `warnings` say what to change in the settings first."""

    signed: SignedWebhook
    triggers: list[Request]
    warnings: list[str]


def build_guide(settings: Settings, lang: Lang, *, shows_token: bool = True) -> Guide:
    """Build the guide with the public URL, the webhook path and the first token of these settings, or with a
    placeholder instead of the token.
    """
    texts = TEXTS[lang]
    tokens = settings.cloudtalk.tokens
    webhook_url = settings.server.public_url + settings.cloudtalk.webhook_path
    token = tokens[0].get_secret_value() if tokens and shows_token else texts.placeholder
    return guide_for(webhook_url, token, _warnings(settings, texts))


def guide_for(webhook_url: str, token: str, warnings: Sequence[str] = ()) -> Guide:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    requests = [
        Request(
            trigger.name,
            "POST",
            f"{webhook_url}/{trigger.event}",
            headers,
            {key: f"{{{{{key}}}}}" for key in trigger.properties},
        )
        for trigger in TRIGGERS
    ]
    return Guide(SignedWebhook(webhook_url, SIGNED_EVENTS), requests, list(warnings))


def _warnings(settings: Settings, texts: Texts) -> list[str]:
    cloudtalk = settings.cloudtalk
    warnings = [] if cloudtalk.tokens or cloudtalk.signing_secrets else [texts.warn_unauthorised]
    if is_loopback(urlsplit(settings.server.public_url).hostname or ""):
        warnings.append(texts.warn_unreachable.format(url=settings.server.public_url))
    elif any(review_public_url(settings)):
        warnings.append(
            texts.warn_public_url.format(url=settings.server.public_url, path=cloudtalk.webhook_path)
        )
    return warnings


# --- as Markdown ----------------------------------------------------------------------------------


def format_markdown(guide: Guide, lang: Lang) -> str:
    """Format the two chapters of the guide, without its warnings."""
    texts = TEXTS[lang]
    return "\n".join((*_signed(guide.signed, texts), *_workflows(guide, texts)))


def _signed(signed: SignedWebhook, texts: Texts) -> Iterator[str]:
    yield f"## {texts.signed}\n"
    yield from _numbered(signed_steps(signed, texts))


def signed_steps(signed: SignedWebhook, texts: Texts) -> list[str]:
    """Return what to do for the signed webhook, as Markdown."""
    events = ", ".join(f"`{event}`" for event in signed.events)
    return [step.format(url=signed.url, events=events, setting=signed.setting) for step in texts.signed_steps]


def _workflows(guide: Guide, texts: Texts) -> Iterator[str]:
    yield f"\n## {texts.workflows}\n\n{texts.workflows_intro}\n"
    yield from _numbered(texts.steps)
    yield f"\n{texts.headers_intro}\n"
    yield from _table(texts.header, texts.value, guide.triggers[0].headers)
    for request in guide.triggers:
        yield f"\n### {request.trigger}\n\n`{request.method} {request.url}`\n"
        yield from _table(texts.key, texts.value, request.body)


def _numbered(steps: Sequence[str]) -> Iterator[str]:
    yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))


def _table(left: str, right: str, rows: dict[str, str]) -> Iterator[str]:
    yield f"| {left} | {right} |\n|---|---|"
    yield from (f"| `{key}` | `{value}` |" for key, value in rows.items())
