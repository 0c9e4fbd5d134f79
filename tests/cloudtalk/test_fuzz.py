"""Random bodies: each is parsed, ignored or refused, and the result can be stored.

`FUZZ_BODIES=1000000 pytest tests/cloudtalk/test_fuzz.py -s --timeout 3600` parses a million.
"""

import gzip
import os
import tracemalloc
from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import build_record, join, state_from_event
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import Instant

BODIES: Final = int(os.environ.get("FUZZ_BODIES", "20000"))
WEBHOOK_PATH: Final = "/cloudtalk/webhook"
MAX_GROWTH: Final = 8 * 1024 * 1024
"""In bytes: the full caches of phone numbers, keys and names."""

EXAMPLES: Final = [
    msgspec.json.decode(file.read_bytes())
    for file in sorted((Path(__file__).parent / "examples").glob("*.json"))
]
SEEDS: Final = [
    msgspec.json.encode(request["body"])
    for example in EXAMPLES
    for request in example["requests"]
    if "body" in request
] + [request["raw"].encode() for example in EXAMPLES for request in example["requests"] if "raw" in request]
STRANGE: Final[list[Any]] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    123.5,
    1e308,
    -0.0,
    2**63 - 1,
    -(2**63),
    1_732_789_800_000,
    "",
    " ",
    "null",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "1.0e300",
    "9" * 300,
    "x" * 250,
    "{{x}}",
    "[object Object]",
    "0000-00-00",
    "0001-01-01",
    "9999-12-31T23:59:59-14:00",
    "1:2:3:4",
    "::",
    "tel:",
    "+",
    "00",
    "٣",
    "&amp;&#0;&#xD800;",
    "https://h/pub/r/%/a",
    "https://h/pub/r/MTIz/a",
    "{",
    "{}",
    '{"call_id": 1}',
    "[1]",
    [],
    [[]],
    [None],
    ["a", 1, {}],
    {},
    {"": {}},
    {"name": []},
    {"number_e164": {}},
    {"id": "x" * 300},
    "call.ended",
    "call",
    "\ud7ff\U0010ffff",
    "\x01\x7f\u2028",
]
PATHS: Final = (
    WEBHOOK_PATH,
    WEBHOOK_PATH + "/",
    WEBHOOK_PATH + "/call.ended",
    WEBHOOK_PATH + "/flow",
    WEBHOOK_PATH + "/%FF/%00",
    "",
    "/",
)
QUERIES: Final = ("", "", "event=ended", "event=%FF", "call_uuid=x&a", "&&=;")
TYPES: Final = ("application/json", "", "application/x-www-form-urlencoded", "text/plain")


def positions(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys or indexes."""
    pairs: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        pairs.append((value, key))
        pairs += positions(item)
    return pairs


def mutated_value(random: Random, value: Any) -> Any:
    """The value with one of its parts changed, removed, renamed or wrapped."""
    if not (pairs := positions(value)):
        return deepcopy(random.choice(STRANGE))
    container, key = random.choice(pairs)
    match random.randrange(5):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            other = random.choice(pairs)[1]
            container[str(other) if random.random() < 0.5 else str(key).upper() + "."] = container.pop(key)
        case 2:
            container[key] = random.choice([{"data": container[key]}, [container[key]], str(container[key])])
        case _:
            container[key] = deepcopy(random.choice(STRANGE))
    return value


def mutated_bytes(random: Random, raw: bytes) -> bytes:
    """The bytes with some of them changed, removed or doubled."""
    changed = bytearray(raw or b"x")
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) or 1)
        match random.randrange(3):
            case 0:
                changed[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del changed[at : at + random.randint(1, 8)]
            case _:
                changed[at:at] = changed[at : at + random.randint(1, 8)]
    return bytes(changed)


def mutated(random: Random) -> bytes:
    """The body of an example, changed once or several times."""
    raw = random.choice(SEEDS)
    if random.random() < 0.25:
        return mutated_bytes(random, raw)
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return mutated_bytes(random, raw)
    for _ in range(random.randint(1, 4)):
        value = mutated_value(random, value)
    return msgspec.json.encode(value)


def random_request(random: Random) -> RawRequest:
    raw, encoding = mutated(random), random.choice(("",) * 12 + ("gzip", "gzip", "x"))
    if encoding == "gzip":
        raw = gzip.compress(raw, 1)[: random.choice((None, None, -5))]
    return RawRequest(
        raw,
        random.choice(TYPES),
        random.choice(PATHS),
        random.choice(QUERIES),
        encoding,
        random.choice((None, None, "m")),
    )


def result_of(parser: Parser, request: RawRequest) -> str:
    """Parse the request and check that the result can be stored."""
    try:
        parsed = parser.parse(request)
    except InvalidPayload as error:
        msgspec.json.encode([error.reason, error.message, error.pointer])
        return "refused" if error.status in {400, 413, 415, 422} else f"refused as {error.status}"
    msgspec.json.encode(parsed)
    if isinstance(parsed, Ignored):
        return "ignored"
    states = [state_from_event(event, seq=seq, received_at=Instant(seq)) for seq, event in enumerate(parsed)]
    for state in states:
        build_record(join(states[0], state), id="x", version=1)
    return "parsed"


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser(
        ZoneInfo("Europe/Madrid"), "ES", ["910000001"], {WEBHOOK_PATH + "/fin": "ended"}, WEBHOOK_PATH
    )


def test_mutated_bodies_are_parsed_or_refused_and_do_not_fill_the_memory(parser: Parser) -> None:
    random = Random(int(os.environ.get("FUZZ_SEED", "1")))
    results: Counter[str] = Counter()
    for _ in range(BODIES // 10):
        results[result_of(parser, random_request(random))] += 1
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(BODIES - BODIES // 10):
        results[result_of(parser, random_request(random))] += 1
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{sum(results.values())} bodies: {dict(results)}, {growth} more bytes of memory")  # noqa: T201 - the count is asked for
    assert results.keys() == {"parsed", "ignored", "refused"}
    assert min(results.values()) > BODIES // 100
    assert growth < MAX_GROWTH


_json: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(STRANGE)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "type",
                    "data",
                    "call",
                    "id",
                    "call_id",
                    "call_uuid",
                    "tags",
                    "from",
                    "agent",
                    "Cdr",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(value=_json, path=st.sampled_from(PATHS), message_id=st.sampled_from([None, "m"]))
def test_any_json_value_is_parsed_ignored_or_refused(
    parser: Parser, value: Any, path: str, message_id: str | None
) -> None:
    result_of(parser, RawRequest(msgspec.json.encode(value), path=path, message_id=message_id))
