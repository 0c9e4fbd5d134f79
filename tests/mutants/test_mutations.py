"""The mutants of a module, and how the mutant of a module reaches its tests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.core import core_modules, list_tests
from tests.mutants.equivalents import format_equivalent, load_equivalents
from tests.mutants.mutations import Mutant, mutants_of

ROOT = Path(__file__).parents[2]


def changes_of(source: str) -> set[str]:
    return {mutant.after for mutant in mutants_of("m.py", source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"x = (a <= b)"}),
        ("x = a is not None", {"x = (a is None)"}),
        ("x = a < b <= c", {"x = (a <= b <= c)", "x = (a < b < c)"}),
        ("x = a and b", {"x = (a or b)", "x = (a)", "x = (b)"}),
        ("x = not a", {"x = a"}),
        ("x = a + b * 2", {"x = (a - (b * 2))", "x = a + (b // 2)", "x = a + b * 3"}),
        ("n += 1", {"pass", "n -= 1", "n += 2"}),
        ("x = 'é', True", {"x = 'Xé', True", "x = 'é', False"}),
        ("x = f'{a}:'", {"x = \"X\" f'{a}:'"}),
        ("x = a if b else c", {"x = a", "x = c"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if True]", "x = [a for a in b if False]"}),
        ("x = sorted(a, key=b)", {"x = list(a)", "x = sorted(a)"}),
        ("x = set(map(f, sorted(a)))", {"x = set(map(f, list(a)))"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = a.strip()", {"x = a"}),
        ("q = s.where(a, b)", {"q = s", "q = s.where(a)", "q = s.where(b)"}),
        ("key = lambda a: (b, c)", {"key = lambda a: (b,)", "key = lambda a: (c,)"}),
        ("def f():\n    return a", {"return None"}),
        ("def f():\n    return False", {"return True"}),
        ("def f():\n    return a, b", {"return None", "return (a,)", "return (b,)"}),
        ("def f(a: 'T' = 1) -> 'T':\n    f(a)", {"def f(a: 'T' = 2) -> 'T':", "pass"}),
        ("x.y = z", {"pass"}),
        ("del x[y]", {"pass"}),
        ("for a in b:\n    continue", {"break"}),
        ("if a:\n    raise ValueError('text')", {"if True:", "if False:", "pass"}),
        ("try:\n    pass\nexcept (A, B):\n    pass", {"except (A,):", "except (B,):"}),
        (
            "match a:\n    case 'b' if c:\n        pass",
            {"case 'Xb' if c:", "case 'b' if True:", "case 'b' if False:"},
        ),
    ],
)
def test_each_mistake_is_one_change_of_the_source(source: str, expected: set[str]) -> None:
    assert changes_of(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "x: Final[int]",
        "log.warning('event', number=1)",
        "log = get_logger('name')",
        "__all__ = ['a']",
        "x = 'a text for people'",
        "class A(Enum, frozen=True):\n    B = 'b'",
        "def f():\n    return None",
        "T = TypeVar('T')",
        "x = set(sorted(a, key=b))",
        "x = bound(a for a in sorted(b) for c in a)",
        "x = {a for a in sorted(b)}",
        "@decorator('a')\ndef f(): ...",
    ],
)
def test_what_no_test_should_depend_on_is_not_changed(source: str) -> None:
    assert changes_of(source) == set()


def test_a_mutant_names_its_function_and_its_line() -> None:
    source = "class A:\n    def f(self):\n        # é\n        return self.g(\n            1,\n        )\n"
    mutant = next(m for m in mutants_of("m.py", source) if "2" in m.after)
    assert mutant.identity == ("m.py", "A.f", "1,", "2,")
    assert mutant.line == 5
    assert mutant.source == source.replace("1", "2")


def test_every_module_of_the_core_has_mutants_that_compile_and_tests_that_exist() -> None:
    modules = core_modules(ROOT)
    assert len(modules) > 50
    for module in modules:
        mutants = mutants_of(module, (ROOT / module).read_text())
        assert mutants, module
        for mutant in mutants[::25]:
            compile(mutant.source, module, "exec")
        tests = list_tests(ROOT, module)
        assert tests, module
        assert all((ROOT / test).exists() for test in tests), module


def test_modules_can_be_chosen_by_the_start_of_their_path() -> None:
    chosen = core_modules(ROOT, ["relay/call/join", "relay/ingest"])
    assert chosen == [
        "relay/call/join.py",
        "relay/ingest/auth_failures.py",
        "relay/ingest/deadlines.py",
        "relay/ingest/limits.py",
        "relay/ingest/refusals.py",
    ]


def test_an_equivalent_mutant_is_known_by_its_lines_and_has_a_reason(tmp_path: Path) -> None:
    mutant = Mutant("m.py", 7, "f", "x = 'it''s'", 'x = "\\d"', "")
    file = tmp_path / "equivalents.toml"
    file.write_text(format_equivalent(mutant).replace('reason = ""', 'reason = "r"'))
    assert load_equivalents(file) == {mutant.identity: "r"}


def test_every_reviewed_mutant_still_exists() -> None:
    equivalents = load_equivalents()
    modules = {identity[0] for identity in equivalents}
    existing = {m.identity for module in modules for m in mutants_of(module, (ROOT / module).read_text())}
    assert not equivalents.keys() - existing
    assert all(reason for reason in equivalents.values())


@pytest.mark.timeout(300)  # the looping mutant ends by its processor time, which takes long on a busy machine
def test_the_worker_tests_a_module_with_another_source(tmp_path: Path) -> None:
    module = "relay/standards/numbers.py"
    source = (ROOT / module).read_text()
    chosen = "tests/standards/test_numbers.py::test_any_other_text_is_no_number[1.0]"
    requests = [
        {
            "module": module,
            "source": changed,
            "tests": ["tests/standards/test_numbers.py"],
            "first": [chosen],
            "scratch": str(tmp_path / "scratch"),
            "seconds": 250,
            "cpu_seconds": cpu_seconds,
        }
        for changed, cpu_seconds in (
            (None, 60),
            (source + "\ndef parse_digits(_): return -1", 60),
            (source + "\nraise ValueError", 60),
            (source + "\nwhile True: pass", 2),
        )
    ]
    worker = subprocess.run(
        [sys.executable, "-m", "tests.mutants.worker"],
        cwd=ROOT,
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
    )
    results = [json.loads(line) for line in worker.stdout.splitlines()]
    outcomes = [(result["passed"], result["timed_out"], result["failed"]) for result in results]
    assert outcomes == [(True, False, ""), (False, False, chosen), (False, False, ""), (False, True, "")]
