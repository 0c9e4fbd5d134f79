"""What the documentation says of the code is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


class Logged(NamedTuple):
    """One call of a log method: where it stands, and what it says."""

    place: str
    event: str
    level: str | None
    fields: frozenset[str]


class Documented(NamedTuple):
    levels: frozenset[str]
    fields: frozenset[str]


# --- docs/logs.md -----------------------------------------------------------------------------


def logged_in(source: str, place: str = "code") -> Iterator[Logged]:
    """Every call of a log method in this source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_logger(node.func.value):
            if node.func.attr in LEVELS:
                yield logged(node, node.args[0], node.func.attr, place)
            elif node.func.attr == "log":  # the level is known at run time
                yield logged(node, node.args[1], None, place)


def is_logger(node: ast.expr) -> bool:
    """`log`, `logger`, `self._log` and what `bind` makes of them."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower() in {"log", "logger"}
        case ast.Call(func=ast.Attribute(value=bound, attr="bind" | "new")):
            return is_logger(bound)
        case _:
            return False


def logged(call: ast.Call, event: ast.expr, method: str | None, place: str) -> Logged:
    level = "error" if method == "exception" else method
    said = {keyword.arg for keyword in call.keywords if keyword.arg}
    implied = {"exception"} if method == "exception" or "exc_info" in said else set()
    where = f"{place}:{call.lineno}"
    return Logged(where, event_name(event, where), level, frozenset(said - {"exc_info"} | implied))


def event_name(node: ast.expr, where: str) -> str:
    """A literal, or what an f-string says before the word that it fills in, and `…`."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text[: text.rfind(" ") + 1] + "…"
        case _:
            pytest.fail(f"{where}: the name of a log event is a literal, so that it can be documented")


def documented_in(text: str) -> dict[str, Documented]:
    """The rows of the events' table: name, levels, fields."""
    rows = re.findall(r"^\| `([^`|]+)` \| ([a-z, ]+) \|([^|]*)\|", text, re.MULTILINE)
    return {
        name: Documented(frozenset(levels.split(", ")), frozenset(re.findall(r"`(\w+)`", fields)))
        for name, levels, fields in rows
    }


@pytest.fixture(scope="module")
def documented() -> dict[str, Documented]:
    return documented_in((ROOT / "docs/logs.md").read_text())


@pytest.fixture(scope="module")
def written() -> list[Logged]:
    files = [*sorted(ROOT.glob("relay/**/*.py")), *sorted(ROOT.glob("crm_clients/**/*.py"))]
    return [line for file in files for line in logged_in(file.read_text(), file.relative_to(ROOT).as_posix())]


def test_every_log_event_is_documented_and_every_documented_one_is_written(
    documented: dict[str, Documented], written: list[Logged]
) -> None:
    assert {line.event for line in written} == documented.keys()


def test_log_events_have_the_levels_that_are_documented(
    documented: dict[str, Documented], written: list[Logged]
) -> None:
    stray = [
        line
        for line in written
        if line.event in documented and line.level and line.level not in documented[line.event].levels
    ]
    assert not stray


def test_log_events_have_only_documented_fields(
    documented: dict[str, Documented], written: list[Logged]
) -> None:
    stray = {
        line.place: fields
        for line in written
        if line.event in documented and (fields := line.fields - documented[line.event].fields)
    }
    assert not stray


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('log.info("server.ready", url=u)', ("server.ready", "info", {"url"})),
        ('self._log.bind(lease=n).warning("lease.lost")', ("lease.lost", "warning", set())),
        ('logger.exception("fold.failed")', ("fold.failed", "error", {"exception"})),
        ('log.error("fold.failed", exc_info=e)', ("fold.failed", "error", {"exception"})),
        ('log.log(level, "push", calls=1)', ("push", None, {"calls"})),
        ('log.info(f"CloudTalk Webhook Event: {n}")', ("CloudTalk Webhook Event: …", "info", set())),
        ('log.info(f"CloudTalk Webhook Event: call.{k}")', ("CloudTalk Webhook Event: …", "info", set())),
    ],
)
def test_a_log_line_is_found_in_code(source: str, found: tuple[str, str | None, set[str]]) -> None:
    [line] = logged_in(source)
    assert (line.event, line.level, set(line.fields)) == found


def test_what_is_no_log_line_is_not_found() -> None:
    assert list(logged_in('parser.error("no"); log.bind(a=1); math.log(1, 2)')) == []


def test_a_log_event_without_a_literal_name_is_a_fault() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"code:1: .*literal"):
        list(logged_in("log.info(name)"))
