"""Asks the database of OSV for known vulnerabilities of the locked dependencies, by pip-audit.

    python -m release.audit [--osv-url URL] LOCK…

Exit code 0: none is known. 1: there are some, which are printed. 3: the database could not be reached, or
does not know all packages, so nothing is proved.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_VULNERABLE: Final = 1
_NOT_AUDITED: Final = 3
_SECONDS: Final = 15


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.audit")
    parser.add_argument("--osv-url", default="https://api.osv.dev/v1/query", help="address of the database")
    parser.add_argument("locks", nargs="+", type=Path)
    given = parser.parse_args()
    sys.exit(audit(given.locks, given.osv_url))


def audit(locks: Sequence[Path], osv_url: str) -> int:
    """Print the result for each lock file; return the exit code."""
    codes = [_audit_one(lock, osv_url) for lock in locks]
    return _VULNERABLE if _VULNERABLE in codes else max(codes)


def _audit_one(lock: Path, osv_url: str) -> int:
    report, problem = _ask(lock, osv_url)
    skipped = [each for each in report if "skip_reason" in each]
    if problem or skipped:
        reason = problem or f"{len(skipped)} packages are unknown there, such as {skipped[0]['name']}"
        print(f"{lock}: NOT audited, {osv_url} gave no answer: {reason}", file=sys.stderr)
    found = list(_lines(report))
    for line in found:
        print(f"{lock}: {line}")
    if found:
        return _VULNERABLE
    if problem or skipped:
        return _NOT_AUDITED
    print(f"{lock}: {len(report)} packages, no known vulnerability")
    return 0


def _ask(lock: Path, osv_url: str) -> tuple[list[dict[str, Any]], str]:
    """Return what is known of each package, and why nothing is; empty if something is."""
    done = subprocess.run(  # noqa: S603 - a command of the project
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
            *("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
            *("--vulnerability-service", "osv", "--osv-url", osv_url, "--timeout", str(_SECONDS)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except ValueError:
        return [], (done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1]


def _lines(report: Sequence[dict[str, Any]]) -> Iterator[str]:
    for package in report:
        for each in package.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']} has {each['id']}; repaired in {fixed}"


if __name__ == "__main__":
    main()
