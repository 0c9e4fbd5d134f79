"""The receiver of alerts."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from relay.instants import SECOND, Instant
from relay.operations.alert_receiver import AlertReceiver
from relay.settings.monitoring import Alerts
from tests.support.alert_receiver import AlertReceiver as Endpoint
from tests.support.alert_receiver import running_alert_receiver
from tests.support.receiver import OTHER_SECRET, SECRET
from tests.support.servers import free_port


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_alert_receiver() as endpoint:
        yield endpoint


def receiver_of(url: str, **values: object) -> AlertReceiver:
    return AlertReceiver(Alerts.model_validate({"webhook_url": url, **values}))


async def test_each_secret_signs_as_standard_webhooks(endpoint: Endpoint) -> None:
    receiver = receiver_of(endpoint.url, secret=f"{SECRET} {OTHER_SECRET}")
    at = Instant(int(time.time()) * SECOND)
    assert await receiver.send(b'{"type":"alert.firing"}', id_="alert_1", at=at) is None
    (request,) = endpoint.requests
    assert (request.method, request.path) == ("POST", "/alerts/secret-path-of-the-tests")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "alert_1"
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(request.body, request.headers) == {"type": "alert.firing"}


async def test_without_a_secret_nothing_is_signed(endpoint: Endpoint) -> None:
    assert await receiver_of(endpoint.url).send(b"{}", id_="alert_1", at=Instant(0)) is None
    assert not any(name.startswith("webhook-") for name in endpoint.requests[0].headers)


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500])
async def test_another_answer_is_a_problem_and_a_redirect_is_not_followed(
    endpoint: Endpoint, status: int
) -> None:
    endpoint.status, endpoint.headers = status, {"location": endpoint.url}
    problem = await receiver_of(endpoint.url).send(b"{}", id_="1", at=Instant(0))
    assert problem == f"the receiver answered {status}"
    assert len(endpoint.requests) == 1


async def test_a_name_that_leads_into_a_private_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("10.0.0.7", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    receiver = receiver_of("https://hooks.example.com/secret-path")
    problem = await receiver.send(b"{}", id_="1", at=Instant(0))
    assert problem == "hooks.example.com resolves to 10.0.0.7, which is not public"
    finding = await receiver.check()
    assert (finding.name, finding.ok, finding.code) == ("alerts", False, "forbidden_address")


@pytest.mark.parametrize(
    ("url", "values", "expected"),
    [
        ("https://hooks.example.com/x", {}, False),
        ("https://hooks.example.com/x", {"allow_private": True}, True),
        ("http://127.0.0.1:9000/x", {}, True),
        ("http://[::1]:9000/x", {}, True),
        ("http://10.0.0.7/x", {}, True),
        ("http://localhost/x", {}, True),
        ("http://localhost.example.com/x", {}, False),
    ],
)
def test_an_address_in_the_settings_is_allowed(url: str, values: dict[str, object], expected: bool) -> None:
    assert Alerts.model_validate({"webhook_url": url, **values}).may_be_private is expected


async def test_no_text_has_the_path_of_the_url() -> None:
    receiver = receiver_of(f"http://127.0.0.1:{free_port()}/secret-path?key=f00d")
    finding = await receiver.check()
    problem = await receiver.send(b"{}", id_="1", at=Instant(0))
    assert problem == "127.0.0.1 cannot be reached: ConnectError"
    assert (finding.ok, finding.code, finding.problem) == (False, "unreachable", problem)


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, None), (405, None), (400, None), (404, "wrong_url"), (410, "wrong_url"), (302, "wrong_url")],
)
async def test_the_check_sends_nothing_and_finds_a_url_that_is_wrong(
    endpoint: Endpoint, status: int, code: str | None
) -> None:
    endpoint.status = status
    finding = await receiver_of(endpoint.url).check()
    assert (finding.ok, finding.code) == (code is None, code)
    assert [(request.method, request.body) for request in endpoint.requests] == [("HEAD", b"")]
