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
    chapter = (ROOT / "docs/operations.md").read_text().partition("## Check\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", chapter, re.MULTILINE))
    checked = {code: "yes" if ok == "True" else "no" for ok, code in findings}
    assert documented == checked | dict.fromkeys(warnings, "yes")
