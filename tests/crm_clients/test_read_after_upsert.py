"""For any call: what a client has written, it reads without a difference. On the real servers."""

import asyncio
import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm_clients.base import CrmClient, Delivered, Push
from crm_clients.local import LocalClient, LocalSettings
from crm_clients.supabase import SupabaseClient, SupabaseSettings
from relay.call import DELIVERED_FIELDS, FIELDS, Call, Status, changed_fields, known_fields
from tests.fakes.hubspot import HubSpot, RunningHubSpot, running_hubspot
from tests.support.clients import make_context
from tests.support.hubspot import build_client
from tests.support.supabase import Supabase

ALL: Final = frozenset(DELIVERED_FIELDS)
_numbers = itertools.count(1)

_YEARS: Final = tuple(datetime.fromisoformat(text) for text in ("2005-01-01", "2040-01-01"))

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_optional_texts = (
    st.none() | _texts | st.sampled_from(["", " padded ", "<b>&amp;</b>\r\n", "null", "[]", "007", "1e5"])
)
_seconds = st.none() | st.integers(0, 2**31)
_times = st.none() | st.datetimes(*_YEARS).map(lambda time: f"{time.isoformat(timespec='milliseconds')}Z")
_whole_times = st.none() | st.datetimes(*_YEARS).map(lambda time: f"{time.isoformat(timespec='seconds')}Z")
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_phones = st.none() | st.sampled_from(["+34600000001", "anonymous", "112"])
_calls = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["inbound", "outbound", "internal", None]),
        "status": st.sampled_from(list(Status)),
        **dict.fromkeys(("from_", "to", "external_number", "internal_number"), _phones),
        **dict.fromkeys(
            ("contact_id", "contact_name", "agent_id", "agent_name", "notes", "transcript", "summary"),
            _optional_texts,
        ),
        "agent_email": st.sampled_from([None, "ana@example.test", "nobody@example.test", "no address"]),
        **dict.fromkeys(("started_at", "answered_at", "ended_at"), _times | _whole_times),
        **dict.fromkeys(
            ("response_seconds", "duration_seconds", "talking_seconds", "waiting_seconds", "wrapup_seconds"),
            _seconds,
        ),
        "recording_url": st.sampled_from([None, "https://my.cloudtalk.io/r/1.wav", "http://x/y"]),
        "tags": st.lists(_texts, max_size=3),
        "follow_up": st.booleans(),
        "cloudtalk_data": st.dictionaries(_texts, _json, max_size=4),
    }
)
_versions = st.lists(st.tuples(_calls, _calls), min_size=1, max_size=5)


def build(values: dict[str, Any], number: int, version: int) -> Call:
    identity: dict[str, Any] = {
        "id": f"cloudtalk-{number}",
        "call_id": f"7{number}",
        "call_uuid": f"u{number}",
    }
    return Call(**values, **identity, version=version)


async def check(client: CrmClient[Any], drawn: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Deliver two versions of each call as the relay does, and read after each."""
    numbers = [next(_numbers) for _ in drawn]
    first = [build(one, n, 1) for (one, _), n in zip(drawn, numbers, strict=True)]
    second = [build(two, n, 2) for (_, two), n in zip(drawn, numbers, strict=True)]
    try:
        outcomes = await client.upsert([Push(c, known_fields(c), first=True, partial=True) for c in first])
        assert all(isinstance(outcome, Delivered) for outcome in outcomes), outcomes
        await require_no_difference(client, first)
        changes = [
            Push(
                new,
                frozenset(changed_fields(old, new)),
                first=False,
                remote_id=outcome.remote_id if isinstance(outcome, Delivered) else None,
                delivered_version=1,
            )
            for old, new, outcome in zip(first, second, outcomes, strict=True)
        ]
        outcomes = await client.upsert(changes)
        assert all(isinstance(outcome, Delivered) for outcome in outcomes), outcomes
        await require_no_difference(client, second)
    finally:
        await client.aclose()


async def require_no_difference(client: CrmClient[Any], calls: list[Call]) -> None:
    found = await client.read([Push(call, ALL, first=False) for call in calls])
    assert isinstance(found, dict), found
    for call in calls:
        [stored] = found[call.id]
        values = dict(zip(FIELDS, msgspec.structs.astuple(call), strict=True))
        assert not stored.different, {field: values[field] for field in stored.different}
        assert stored.version in {None, call.version}


def examples(count: int) -> settings:
    """Failures are not shrunk: that takes hundreds of examples, and each is several requests to a server."""
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


@examples(40)
@given(drawn=_versions)
def test_the_embedded_crm(tmp_path: Path, drawn: list[Any]) -> None:
    parsed = LocalSettings(client="local", path=tmp_path / "crm.db")
    asyncio.run(check(LocalClient("crm", parsed, make_context()), drawn))


@pytest.mark.parametrize("layout", ["table", "kv"])
@examples(12)
@given(drawn=_versions)
def test_supabase(supabase: Supabase, layout: str, drawn: list[Any]) -> None:
    parsed = SupabaseSettings.model_validate(
        {"client": "supabase", "url": supabase.url, "key": supabase.key, "layout": layout}
    )
    asyncio.run(check(SupabaseClient("crm", parsed, make_context()), drawn))


@pytest.fixture(scope="module")
def running() -> Iterator[RunningHubSpot]:
    with running_hubspot() as running:
        yield running


@examples(12)
@given(drawn=_versions)
def test_hubspot(running: RunningHubSpot, drawn: list[Any]) -> None:
    running.hubspot = hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits.burst.max_requests = hubspot.limits.search.max_requests = 10_000
    hubspot.add_owner("ana@example.test")
    asyncio.run(check(build_client(running.url, contacts="off"), drawn))
