"""What a request without authentication costs: little work, and nothing that is stored."""

import gzip
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from relay.app import Relay
from relay.cloudtalk import decoding
from relay.cloudtalk.signatures import SignatureVerifier
from relay.ingest import body as body_module
from relay.ingest import endpoint
from relay.ledger.tables import events, quarantine
from relay.standards.webhooks import Signer
from tests.support.in_process import in_process_relay, settings_in

WEBHOOK_PATH = "/cloudtalk/webhook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "a-token-of-the-settings"
KIB = 1024
RelayAndClient = tuple[Relay, httpx.AsyncClient]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RelayAndClient]:
    settings = settings_in(tmp_path, cloudtalk={"tokens": [TOKEN], "signing_secrets": [SECRET]})
    async with in_process_relay(settings) as started:
        yield started


async def count_stored(relay: Relay) -> int:
    tables = (events, quarantine)
    return await relay.ledger.read(
        lambda c: sum(c.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    )


def signed(body: bytes) -> dict[str, str]:
    return Signer([SECRET], prefix="svix-").headers("msg_1", int(time.time()), body)


def with_token(size: int) -> bytes:
    """A body of this size with a valid token."""
    start = b'{"secret":"' + TOKEN.encode() + b'","event":"call.started","call_id":1,"note":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'


# --- a token inside the body ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"[" + b"[]," * 350_000 + b"[]]", mtime=0),
        gzip.compress(b" " * (64 * KIB + 1), mtime=0),
        b"x=" + b"y" * 64 * KIB,
        b"[" + b"[]," * 2_000 + b"[]]",
        gzip.compress(b"[" * 2_001, mtime=0),
        json.dumps({"data": "[" + "1," * 2_001 + "1]"}).encode(),
        json.dumps([0] * 2_002).encode("utf-16"),
        with_token(64 * KIB + 1),
        gzip.compress(with_token(64 * KIB + 1), mtime=0),
    ],
)
async def test_a_large_body_without_a_token_in_the_head_is_refused_before_it_is_decoded(
    running: RelayAndClient, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a body of a stranger was decoded")

    relay, client = running
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "parse_json", never)
        patch.setattr(decoding, "parse_qsl", never)
        response = await client.post(WEBHOOK_PATH, content=body)
    assert response.status_code == 401
    assert "64 KiB" in response.json()["detail"]
    assert await count_stored(relay) == 0


async def test_an_invalid_body_without_authentication_is_not_cleaned_since_it_is_not_stored(
    running: RelayAndClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a body of a stranger was cleaned")

    relay, client = running
    monkeypatch.setattr(body_module, "clean_unparsed", never)
    for invalid in (b'{"secret":"x",', b"hello", gzip.compress(b"x")[:-3]):
        assert (await client.post(WEBHOOK_PATH, content=invalid)).status_code == 401
    assert await count_stored(relay) == 0


async def test_a_token_counts_in_a_body_up_to_the_limit(running: RelayAndClient) -> None:
    relay, client = running
    for body in (with_token(64 * KIB), gzip.compress(with_token(64 * KIB))):
        assert (await client.post(WEBHOOK_PATH, content=body)).status_code == 200
    assert await count_stored(relay) == 2


async def test_a_larger_body_needs_its_token_in_the_head(running: RelayAndClient) -> None:
    _, client = running
    headers = {"x-webhook-token": TOKEN}
    assert (await client.post(WEBHOOK_PATH, content=with_token(70 * KIB), headers=headers)).status_code == 200
    too_large = b" " * (KIB * KIB + 1)
    assert (await client.post(WEBHOOK_PATH, content=too_large, headers=headers)).status_code == 413
    assert (await client.post(WEBHOOK_PATH, content=too_large)).status_code == 401


async def test_without_tokens_a_request_of_this_machine_may_be_large(tmp_path: Path) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (_, client):
        assert (await client.post(WEBHOOK_PATH, content=with_token(70 * KIB))).status_code == 200


# --- a signature ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"x-cloudtalk-signature": "00"},
        {"x-cloudtalk-signature": "00", "x-webhook-token": TOKEN},
        {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
    ],
)
async def test_a_signature_is_verified_before_the_body_is_decoded(
    running: RelayAndClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a body with a wrong signature was decoded")

    relay, client = running
    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "decode_body", never)
        bomb = gzip.compress(b"[" * 1_000_000)
        assert (await client.post(WEBHOOK_PATH, content=bomb, headers=headers)).status_code == 401
    assert await count_stored(relay) == 0


async def test_a_signature_is_of_the_bytes_as_received(running: RelayAndClient) -> None:
    _, client = running
    body = gzip.compress(b'{"type":"call.ended","event_id":"e","data":{"call_uuid":"u-1"}}')
    headers = signed(body) | {"content-encoding": "gzip"}
    response = await client.post(WEBHOOK_PATH, content=body, headers=headers)
    assert (response.status_code, response.json()["id"]) == (200, "cloudtalk-u-1")


@pytest.mark.parametrize(("size", "status"), [(KIB * KIB + 1, 200), (9 * KIB * KIB + 1, 401)])
async def test_a_signed_body_that_is_too_large_is_acknowledged_and_its_beginning_quarantined(
    running: RelayAndClient, size: int, status: int
) -> None:
    relay, client = running
    body = b'{"type":"call.ended","x":"' + b"x" * (size - 28) + b'"}'
    assert len(body) == size
    response = await client.post(WEBHOOK_PATH, content=body, headers=signed(body))
    assert (response.status_code, response.json().get("quarantined", False)) == (status, status == 200)
    kept = await relay.ledger.read(lambda c: list(c.execute(select(quarantine))))
    assert [row.reason for row in kept] == ["oversize"] * (status == 200)
    forged = await client.post(WEBHOOK_PATH, content=body + b" ", headers=signed(body))
    assert forged.status_code == 401


@pytest.mark.parametrize(("size", "in_a_thread"), [(100, False), (20_000, True)])
async def test_the_signature_of_a_large_body_is_verified_in_a_thread(
    running: RelayAndClient, monkeypatch: pytest.MonkeyPatch, size: int, in_a_thread: bool
) -> None:
    """A stranger may send nine MiB, and each listed secret is two keys to compare them with."""
    _, client = running
    threads: list[threading.Thread] = []

    def verify(*_: object, **__: object) -> bool:
        threads.append(threading.current_thread())
        return False

    monkeypatch.setattr(SignatureVerifier, "verify", verify)
    body = b"x" * size
    response = await client.post(WEBHOOK_PATH, content=body, headers=signed(body))
    assert response.status_code == 401
    assert [thread is not threading.current_thread() for thread in threads] == [in_a_thread]
    assert not threads[0].name.startswith("parse")  # bodies of other strangers would delay it
