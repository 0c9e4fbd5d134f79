import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result

from relay.cli.main import cli
from relay.operations.setup_guide import SIGNED_EVENTS, TRIGGERS, format_markdown, guide_for
from relay.operations.setup_guide_texts import TEXTS, Lang
from relay.settings.models import CloudTalk
from tests.support.es_document import ORIGIN, requests_of, tables

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENTS: dict[Lang, Path] = {
    "en": DOCS / "cloudtalk-setup.md",
    "es": DOCS / "es/cloudtalk-setup.md",
}
KEY: dict[Lang, str] = {"en": "Key", "es": "Clave"}
FIELD: dict[Lang, str] = {"en": "Field", "es": "Campo"}

PROPERTIES = {
    "call_uuid",
    "call_id",
    "external_number",
    "internal_number",
    "direction",
    "started_at",
    "ended_at",
    "talking_time",
    "waiting_time",
    "wrapup_time",
    "agent_id",
    "agent_first_name",
    "agent_last_name",
    "agent_email",
    "contact_id",
    "contacts[0].name",
    "is_voicemail",
    "recording_url",
    "tags",
    "transcript",
}
"""The variables of CloudTalk's workflows."""

MISSION_FIELDS = {
    "id",
    "direction",
    "from",
    "to",
    "contact_id",
    "contact_name",
    "duration",
    "started_at",
    "ended_at",
    "status",
}

SETTINGS = """
[server]
public_url = "https://calls.example.test"
[cloudtalk]
webhook_path = "/webhook"
tokens = ["first-token-of-two", "second-token-of-two"]
"""


def run(folder: Path, settings: str, *arguments: str) -> Result:
    path = folder / "settings.toml"
    path.write_text(settings)
    return CliRunner().invoke(cli, ["--settings", str(path), "cloudtalk-setup", *arguments])


def run_json(folder: Path, settings: str, *arguments: str) -> dict[str, Any]:
    result = run(folder, settings, "--json", *arguments)
    assert result.exit_code == 0, result.output
    guide: dict[str, Any] = json.loads(result.stdout)
    return guide


# --- the command ------------------------------------------------------------------------------


def test_each_trigger_has_its_own_url_and_the_first_token(tmp_path: Path) -> None:
    triggers = run_json(tmp_path, SETTINGS)["triggers"]
    assert [(t["trigger"], t["method"], t["url"]) for t in triggers] == [
        ("Call Started", "POST", "https://calls.example.test/webhook/call.started"),
        ("Call Ringing on Agent", "POST", "https://calls.example.test/webhook/call.ringing"),
        ("Call Answered", "POST", "https://calls.example.test/webhook/call.answered"),
        ("Call Modified", "POST", "https://calls.example.test/webhook/call.modified"),
        ("Call Ended", "POST", "https://calls.example.test/webhook/call.ended"),
        ("Recording Uploaded", "POST", "https://calls.example.test/webhook/recording.uploaded"),
        ("Transcription Created", "POST", "https://calls.example.test/webhook/transcription.created"),
    ]
    wanted = {"Authorization": "Bearer first-token-of-two", "Content-Type": "application/json"}
    assert all(t["headers"] == wanted for t in triggers)


def test_each_key_has_the_variable_of_the_same_name(tmp_path: Path) -> None:
    recording = next(
        t for t in run_json(tmp_path, SETTINGS)["triggers"] if t["trigger"] == "Recording Uploaded"
    )
    assert recording["body"] == {
        "call_id": "{{call_id}}",
        "recording_url": "{{recording_url}}",
        "external_number": "{{external_number}}",
        "internal_number": "{{internal_number}}",
    }


def test_only_triggers_that_know_an_id_send_it() -> None:
    bodies = {trigger.event: set(trigger.properties) for trigger in TRIGGERS}
    with_call_id = {event for event, keys in bodies.items() if "call_id" in keys}
    assert with_call_id == {"call.ended", "recording.uploaded", "transcription.created"}
    with_uuid = {event for event, keys in bodies.items() if "call_uuid" in keys}
    assert with_uuid == {event for event in bodies if event.startswith("call.")}


def test_the_signed_webhook_has_the_url_of_the_webhook_itself(tmp_path: Path) -> None:
    signed = run_json(tmp_path, SETTINGS)["signed"]
    assert signed == {
        "url": "https://calls.example.test/webhook",
        "events": ["call.ended", "call.recording_ready", "transcript.ready", "cidata.ready"],
        "setting": "cloudtalk.signing_secrets_file",
    }
    assert signed["setting"].removeprefix("cloudtalk.").removesuffix("_file") in CloudTalk.model_fields


@pytest.mark.parametrize("lang", get_args(Lang))
def test_good_settings_give_no_warning(tmp_path: Path, lang: Lang) -> None:
    assert run_json(tmp_path, SETTINGS, "--lang", lang)["warnings"] == []
    assert run(tmp_path, SETTINGS, "--lang", lang).stderr == ""


@pytest.mark.parametrize(
    ("settings", "lang", "named"),
    [
        ("", "en", ["cloudtalk.tokens", "server.public_url"]),
        ("", "es", ["cloudtalk.tokens", "server.public_url"]),
        ('[cloudtalk]\ntokens = ["f3b1c0de9a74425e"]', "en", ["server.public_url"]),
        (
            '[cloudtalk]\nsigning_secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
            "en",
            ["server.public_url"],
        ),
        (
            '[cloudtalk]\ntokens = ["f3b1c0de9a74425e"]\n[server]\npublic_url = "http://localhost:1"',
            "es",
            ["http://localhost:1"],
        ),
        (
            '[cloudtalk]\ntokens = ["f3b1c0de9a74425e"]\n[server]\npublic_url = "http://[::1]:1"',
            "es",
            ["http://[::1]:1"],
        ),
        (
            '[cloudtalk]\ntokens = ["f3b1c0de9a74425e"]\n[server]\npublic_url = "http://a.example"',
            "en",
            ["http://a.example"],
        ),
        (
            '[cloudtalk]\ntokens = ["f3b1c0de9a74425e"]\nwebhook_path = "/in"\n[server]\npublic_url = "https://a.example/in"',
            "es",
            ["https://a.example/in. Debe"],
        ),
    ],
)
def test_warnings_name_what_to_set_first_and_are_not_part_of_the_text(
    tmp_path: Path, settings: str, lang: Lang, named: list[str]
) -> None:
    warnings = run_json(tmp_path, settings, "--lang", lang)["warnings"]
    assert len(warnings) == len(named)
    for warning, name in zip(warnings, named, strict=True):
        assert name in warning
    result = run(tmp_path, settings, "--lang", lang)
    assert all(warning in result.stderr for warning in warnings)
    assert not any(warning in result.stdout for warning in warnings)


def test_without_a_token_a_placeholder_is_shown(tmp_path: Path) -> None:
    assert "Bearer SU_TOKEN" in run(tmp_path, "", "--lang", "es").stdout


@pytest.mark.parametrize("lang", get_args(Lang))
def test_signed_webhooks_come_before_workflows(tmp_path: Path, lang: Lang) -> None:
    texts = TEXTS[lang]
    headings = [f"## {texts.signed}", f"## {texts.workflows}"]
    for text in (run(tmp_path, SETTINGS, "--lang", lang).stdout, DOCUMENTS[lang].read_text()):
        assert [line for line in text.splitlines() if line in headings] == headings
        assert "**Account → Webhooks**" in text
    assert list(run_json(tmp_path, SETTINGS)) == ["signed", "triggers", "warnings"]


def test_the_text_contains_everything_of_the_json(tmp_path: Path) -> None:
    text = run(tmp_path, SETTINGS).stdout
    guide = run_json(tmp_path, SETTINGS)
    for request in guide["triggers"]:
        chapter = text.split(f"### {request['trigger']}\n")[1].split("###")[0]
        assert f"`{request['method']} {request['url']}`" in chapter
        assert tables(chapter, "Key") == [request["body"]]
    assert tables(text, "Header") == [guide["triggers"][0]["headers"]]
    assert all(f"`{event}`" in text for event in SIGNED_EVENTS)


# --- the documents ----------------------------------------------------------------------------


@pytest.mark.parametrize("lang", get_args(Lang))
def test_the_document_contains_what_the_command_prints(tmp_path: Path, lang: Lang) -> None:
    """If this fails, replace the chapters by the output of the command with these settings."""
    settings = f"""
        [server]
        public_url = "{ORIGIN}"
        [cloudtalk]
        tokens = ["f3b1c0de9a74425e"]
    """
    printed = run(tmp_path, settings, "--lang", lang).stdout
    assert printed.replace("f3b1c0de9a74425e", TEXTS[lang].placeholder) in DOCUMENTS[lang].read_text()


@pytest.mark.parametrize("lang", get_args(Lang))
def test_every_key_of_a_document_is_a_variable_of_cloudtalk_and_is_explained(lang: Lang) -> None:
    text = DOCUMENTS[lang].read_text()
    keys = {key for table in tables(text, KEY[lang]) for key in table}
    mission, explained = (table.keys() for table in tables(text, FIELD[lang]))
    assert keys == {key for trigger in TRIGGERS for key in trigger.properties} == explained == PROPERTIES
    assert mission == MISSION_FIELDS


@pytest.mark.parametrize("lang", get_args(Lang))
def test_a_document_shows_the_payload_of_the_mission_and_its_four_events(lang: Lang) -> None:
    text = DOCUMENTS[lang].read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    payload = json.loads(example)
    assert payload["event"] == "call.started"
    assert payload["data"].keys() == MISSION_FIELDS
    (events,) = tables(text, {"en": "Event", "es": "Evento"}[lang])
    assert list(events) == ["call.started", "call.answered", "call.ended", "call.missed"]


def test_both_documents_have_the_same_chapters_tables_and_code() -> None:
    en, es = (DOCUMENTS[lang].read_text() for lang in ("en", "es"))
    assert skeleton(en) == skeleton(es)


def skeleton(text: str) -> list[str]:
    """The depth of each heading, and how many cells each row of a table has."""
    lines = re.findall(r"^(#+ |\|.*|```\w*)", text, re.MULTILINE)
    return [f"row of {line.count('|')}" if line.startswith("|") else line for line in lines]


def test_both_languages_have_the_same_number_of_steps() -> None:
    counts = {(len(texts.steps), len(texts.signed_steps)) for texts in TEXTS.values()}
    assert len(counts) == 1


def test_no_field_is_left_in_the_text() -> None:
    for lang in get_args(Lang):
        text = format_markdown(guide_for("https://x.test/webhook", "t"), lang)
        assert re.findall(r"(?<!\{)\{\w+\}(?!\})", text) == []


# --- following the Spanish document -----------------------------------------------------------


def test_following_the_spanish_document_gives_the_requests_of_every_trigger() -> None:
    requests = requests_of(DOCUMENTS["es"], "http://127.0.0.1:9", "my-token")
    by_hand, *by_workflow = requests
    assert (by_hand.url, by_hand.body["event"]) == ("http://127.0.0.1:9/cloudtalk/webhook", "call.missed")
    assert [a.url for a in by_workflow] == [
        f"http://127.0.0.1:9/cloudtalk/webhook/{trigger.event}" for trigger in TRIGGERS
    ]
    assert [tuple(a.body) for a in by_workflow] == [trigger.properties for trigger in TRIGGERS]
    assert {a.method for a in requests} == {"POST"}
    wanted = {"Authorization": "Bearer my-token", "Content-Type": "application/json"}
    assert all(a.headers == wanted for a in requests)


def test_the_requests_of_the_document_are_about_one_call_with_two_ids() -> None:
    _, *requests = requests_of(DOCUMENTS["es"], "http://127.0.0.1:9", "t")
    ended = next(a.body for a in requests if a.url.endswith("/call.ended"))
    assert (ended["call_id"], ended["talking_time"]) == (1002402487, 109)
    assert {a.body.get("call_uuid", ended["call_uuid"]) for a in requests} == {ended["call_uuid"]}
    assert {a.body.get("call_id", ended["call_id"]) for a in requests} == {ended["call_id"]}


def test_a_variable_that_cloudtalk_does_not_have_raises_an_error(tmp_path: Path) -> None:
    text = DOCUMENTS["es"].read_text().replace("{{tags}}", "{{etiquetas}}")
    (tmp_path / "document.md").write_text(text)
    with pytest.raises(KeyError, match="etiquetas"):
        requests_of(tmp_path / "document.md", "http://127.0.0.1:9", "t")
