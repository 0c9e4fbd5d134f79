"""docs/operations.md names the codes that `relay check` prints."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_codes_of_check_are_documented() -> None:
    review = (ROOT / "relay/settings/review.py").read_text()
    check = (ROOT / "relay/cli/check.py").read_text()
    warnings = re.findall(r'_warning\(\s+\w+,\s+"(\w+)"', review)
    failures = re.findall(r'\bcode="(\w+)"', check)
    assert len(warnings) == review.count("yield _warning(")
    assert "paused" in failures
    chapter = (ROOT / "docs/operations.md").read_text().partition("## Check\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", chapter, re.MULTILINE))
    assert documented == dict.fromkeys(failures, "no") | dict.fromkeys(warnings, "yes")
