"""Texts that are written in English only, in Spanish."""

import re
from string import Formatter

import pytest

from relay.operations.languages import Text
from relay.operations.spanish import CATALOGUE
from relay.operations.translation import translate
from tests.support.documents import ROOT
from tests.support.source_texts import GAP, texts_in

WITHOUT_MESSAGES = {
    *("ai_texts", "analytics", "enrichment", "event_names", "history", "history_row", "keys", "statuses"),
    "unparsed",
}
"""Modules of `relay.cloudtalk` whose texts are words to recognise, or logged."""

MODULES = [
    "crm_clients/http.py",
    "crm_clients/response_body.py",
    "crm_clients/hubspot/check.py",
    "crm_clients/hubspot/errors.py",
    "crm_clients/local/client.py",
    "crm_clients/supabase/check.py",
    "crm_clients/supabase/denied.py",
    "crm_clients/supabase/errors.py",
    "crm_clients/supabase/location.py",
    "crm_clients/supabase/refusals.py",
    "crm_clients/supabase/trial.py",
    "crm_clients/webhook/client.py",
    "crm_clients/webhook/outcomes.py",
    "relay/fold/conflicts.py",
    "relay/history/check.py",
    "relay/ingest/body.py",
    "relay/ledger/retention.py",
    "relay/ledger/write_check.py",
    "relay/operations/alert_receiver.py",
    "relay/operations/check.py",
    "relay/operations/check_ledger.py",
    "relay/operations/refused_senders.py",
    "relay/recordings/check.py",
    "relay/recordings/hosts.py",
    "relay/recordings/statuses.py",
    "relay/recordings/stores.py",
    "relay/settings/review.py",
    "relay/standards/file_access.py",
    "relay/standards/private_files.py",
    *(
        f"relay/cloudtalk/{path.name}"
        for path in ROOT.glob("relay/cloudtalk/*.py")
        if path.stem not in WITHOUT_MESSAGES
    ),
]
"""The modules whose texts are findings, reasons of the quarantine, or parts of them."""

SPANISH = ROOT / "relay/operations/spanish"

NOT_SHOWN = {
    "crm_clients/hubspot/check.py": re.compile(
        "CloudTalk (call|follow-up)|Written by|exists already|could not be|# groupName"
    ),
    "crm_clients/hubspot/errors.py": re.compile("PROPERTY_DOESNT_EXIST"),
    "crm_clients/local/client.py": re.compile(
        "the table calls is in|added its column|the row has version|replace the file by|the file is damaged"
        "|has no column|no such|.*says what to do"
    ),
    "crm_clients/supabase/check.py": re.compile("does not support deferrable"),
    "crm_clients/supabase/denied.py": re.compile("permission denied|foreign|materialized"),
    "crm_clients/supabase/errors.py": re.compile(r"\(USING"),
    "crm_clients/supabase/refusals.py": re.compile("permission denied|row-level"),
    "crm_clients/supabase/trial.py": re.compile("invalid input value"),
    "relay/cloudtalk/text_limits.py": re.compile(".*cut to"),
    "relay/cloudtalk/variables.py": re.compile(" and {} more"),
    "relay/cloudtalk/values.py": re.compile(r"\[object"),
    "relay/ledger/write_check.py": re.compile("SAVEPOINT|ROLLBACK"),
    "relay/operations/alert_receiver.py": re.compile("the receiver answered"),
    "relay/operations/check_ledger.py": re.compile("its tables"),
    "relay/recordings/stores.py": re.compile("the archive$"),
    "relay/settings/review.py": re.compile("access auth"),
}
"""Texts of these modules that are no findings: parts of others, compared with answers, written to a CRM or a
log."""

COMPOSED = {
    "the signature is {} s old (server time {})",
    "the signature is {} s ahead (server time {})",
    "; each of {} and {} more was typed; choose it from the picker in CloudTalk",
}
"""Entries whose texts are composed in two modules."""

SHOWN = sorted(
    (module, text)
    for module in MODULES
    for text in texts_in(ROOT / module)
    if not (module in NOT_SHOWN and NOT_SHOWN[module].match(text))
)


@pytest.mark.parametrize(("module", "text"), SHOWN)
def test_each_text_has_a_spanish_one_with_the_same_values(module: str, text: str) -> None:
    values = [f"⟨{number}⟩" for number in range(text.count(GAP))]
    english = text
    for value in values:
        english = english.replace(GAP, value, 1)
    spanish = translate(english).es
    assert spanish != english, f"no text for {english!r} of {module} in relay/operations/spanish"
    assert sorted(re.findall("⟨[0-9]+⟩", spanish)) == sorted(values)


def test_each_entry_of_the_catalogue_has_the_fields_of_its_english_text() -> None:
    def fields(template: str) -> int:
        return sum(name is not None for _, name, _, _ in Formatter().parse(template))

    assert [english for english, spanish in CATALOGUE.items() if fields(spanish) != english.count(GAP)] == []


def test_each_entry_of_the_catalogue_is_written_somewhere() -> None:
    files = {*ROOT.glob("relay/**/*.py"), *ROOT.glob("crm_clients/**/*.py")} - {*SPANISH.glob("*.py")}
    written = "\n".join(text for file in files for text in texts_in(file, fewest_words=0))
    parts = {english: max(english.split(GAP), key=len).strip() for english in CATALOGUE}
    unknown = {english for english, part in parts.items() if part not in written}
    assert unknown == COMPOSED


def test_a_template_is_found_by_its_words() -> None:
    english = "token 2 in cloudtalk.tokens is easy to guess"
    assert translate(english) == Text(english, "el token 2 de cloudtalk.tokens es fácil de adivinar")


def test_a_value_that_is_a_text_itself_is_translated() -> None:
    typed = "; {{call_uuid}} was typed; choose it from the picker in CloudTalk"
    assert translate(f"the call's id is missing: call_uuid, call_id or id{typed}").es == (
        "falta el id de la llamada: call_uuid, call_id o id; {{call_uuid}} está escrito a mano; elíjalo en"
        " el selector de variables de CloudTalk"
    )
    assert translate("call_id: expected an id of at most 200 characters").es == (
        "call_id: se esperaba un id de 200 caracteres como máximo"
    )


@pytest.mark.parametrize("text", ["", "It's {down}", "the plug-in's own words", "cats and dogs", "{}", "{0}"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert translate(text) == Text(text, text)


def test_a_long_text_that_repeats_a_template_takes_no_long_time() -> None:
    hostile = "a: " * 100_000
    assert translate(hostile).es == hostile
