"""Bodies that nobody meant: whatever comes is read, ignored or refused, and can be written down.

`FUZZ_BODIES=1000000 pytest tests/cloudtalk/test_fuzz.py -s --timeout 3600` reads a million.
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
from relay.cloudtalk.parser import Ignored, Parser, RawRequest
from relay.instants import Instant

BODIES: Final = int(os.environ.get("FUZZ_BODIES", "20000"))
HOOK: Final = "/cloudtalk/webhook"
MOST_GROWN: Final = 8 * 1024 * 1024
"""Bytes: the caches of numbers, keys and names, full."""

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
PATHS: Final = (HOOK, HOOK + "/", HOOK + "/call.ended", HOOK + "/flow", HOOK + "/%FF/%00", "", "/")
QUERIES: Final = ("", "", "event=ended", "event=%FF", "call_uuid=x&a", "&&=;")
TYPES: Final = ("application/json", "", "application/x-www-form-urlencoded", "text/plain")


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys or indexes."""
    found: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found.append((value, key))
        found += places(item)
    return found


def mutated_value(random: Random, value: Any) -> Any:
    """A value, one of its parts changed, gone, renamed, or wrapped."""
    if not (found := places(value)):
        return deepcopy(random.choice(STRANGE))
    holder, key = random.choice(found)
    match random.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            other = random.choice(found)[1]
            holder[str(other) if random.random() < 0.5 else str(key).upper() + "."] = holder.pop(key)
        case 2:
            holder[key] = random.choice([{"data": holder[key]}, [holder[key]], str(holder[key])])
        case _:
            holder[key] = deepcopy(random.choice(STRANGE))
    return value


def mutated_bytes(random: Random, raw: bytes) -> bytes:
    """Bytes, some of them changed, gone or twice there."""
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
    """A seed's body, changed once or several times."""
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


def request_of(random: Random) -> RawRequest:
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


def outcome_of(reader: Parser, received: RawRequest) -> str:
    """What became of a request; fails where it is anything but an outcome that can be written down."""
    try:
        found = reader.read(received)
    except InvalidPayload as refused:
        msgspec.json.encode([refused.reason, refused.message, refused.pointer])
        return "refused" if refused.status in {400, 413, 415, 422} else f"refused as {refused.status}"
    msgspec.json.encode(found)
    if isinstance(found, Ignored):
        return "ignored"
    states = [state_from_event(event, seq=seq, received_at=Instant(seq)) for seq, event in enumerate(found)]
    for state in states:
        build_record(join(states[0], state), id="x", version=1)
    return "read"


@pytest.fixture(scope="module")
def reader() -> Parser:
    return Parser(ZoneInfo("Europe/Madrid"), "ES", ["910000001"], {HOOK + "/fin": "ended"}, HOOK)


def test_mutated_bodies_are_read_or_refused_and_fill_no_memory(reader: Parser) -> None:
    random = Random(int(os.environ.get("FUZZ_SEED", "1")))
    outcomes: Counter[str] = Counter()
    for _ in range(BODIES // 10):
        outcomes[outcome_of(reader, request_of(random))] += 1
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(BODIES - BODIES // 10):
        outcomes[outcome_of(reader, request_of(random))] += 1
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{sum(outcomes.values())} bodies: {dict(outcomes)}, {grown} bytes more")  # noqa: T201 - the count is asked for
    assert outcomes.keys() == {"read", "ignored", "refused"}
    assert min(outcomes.values()) > BODIES // 100
    assert grown < MOST_GROWN


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


@settings(max_examples=300, deadline=None)
@given(value=_json, path=st.sampled_from(PATHS), message_id=st.sampled_from([None, "m"]))
def test_no_value_breaks_the_reader(reader: Parser, value: Any, path: str, message_id: str | None) -> None:
    outcome_of(reader, RawRequest(msgspec.json.encode(value), path=path, message_id=message_id))
