"""docs/operations.md names the codes that `relay check` prints."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_codes_of_check_are_documented() -> None:
    review = (ROOT / "relay/settings/review.py").read_text()
    files = ("check.py", "check_ledger.py")
    check = "".join((ROOT / "relay/operations" / file).read_text() for file in files)
    warnings = re.findall(r'_warning\(\s+\w+,\s+"(\w+)"', review)
    findings = re.findall(r'\bok=(True|False),\s+code="(\w+)"', check)
    assert len(findings) == check.count('code="')
    assert len(warnings) == review.count("yield _warning(")
    rights = (ROOT / "relay/standards/private_files.py").read_text()
    warnings += re.findall(r'"code": "(\w+)"', rights)
    documented = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", _read_chapter("Check"), re.MULTILINE))
    checked = {code: "yes" if ok == "True" else "no" for ok, code in findings}
    assert documented == checked | dict.fromkeys(warnings, "yes")


def test_the_codes_of_a_test_call_are_documented() -> None:
    folder = ROOT / "relay/operations/test_call"
    code = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    problems = set(re.findall(r'Problem\(\s+"(\w+)"', code))
    over = set(re.findall(r'State\.(?:GOOD|WARNING|FAILED), "(\w+)"', code))
    assert min(len(problems), len(over)) > 5
    rows = re.findall(r"^\| (`.+`) \| (?:yes|no) \|", _read_chapter("Test call"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == problems | over


def _read_chapter(name: str) -> str:
    text = (ROOT / "docs/operations.md").read_text()
    return text.partition(f"## {name}\n")[2].partition("\n## ")[0]
