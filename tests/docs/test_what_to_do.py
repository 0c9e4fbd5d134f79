"""docs/what-to-do.md has a row for everything that can call for a person."""

import re
from typing import Final

import yaml

from relay.alerts.conditions import Kind
from relay.delivery.pauses import PauseReason
from relay.ledger.destinations import BY_OPERATOR
from relay.operations.explanation_texts import Cause
from tests.support.documents import ROOT

OPERATIONS: Final = (ROOT / "docs/operations.md").read_text()


def chapter(text: str, name: str) -> str:
    found = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert found, name
    return found


def named_in(name: str) -> set[str]:
    """Return the words in the first cell of each row."""
    rows = re.findall(
        r"^\| (`.+?`) \| ", chapter((ROOT / "docs/what-to-do.md").read_text(), name), re.MULTILINE
    )
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def codes_in(name: str, state: str) -> set[str]:
    """Return the codes in the tables of docs/operations.md, which tests compare with the code."""
    rows = re.findall(rf"^\| (`.+`) \| (?:{state}) \|", chapter(OPERATIONS, name), re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`(\w+)`", row)}


def test_each_alert_has_a_row() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus-alerts.yml").read_text())["groups"]
    rules = {rule["alert"] for group in groups for rule in group["rules"]}
    assert named_in("An alert arrives") == rules | set(Kind)


def test_each_reason_of_a_pause_has_a_row() -> None:
    assert named_in("A CRM is paused") == {*PauseReason, BY_OPERATOR}


def test_each_code_of_check_has_a_row() -> None:
    assert named_in("The check finds something") == codes_in("Check", "yes|no")


def test_each_failure_of_a_test_call_has_a_row() -> None:
    codes = codes_in("Test call", "yes|no")
    good = {"test_accepted", "test_folded", "test_delivered", "test_removed"}
    assert good < codes
    assert named_in("The test call fails") == codes - good


def test_each_explanation_has_a_row() -> None:
    assert named_in("A call is not in the CRM") == set(Cause)
