"""A real receiver of alerts, which records all requests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.support.servers import ThreadedServer


class PostedRequest(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class AlertReceiver:
    """Answers with `status`, and has all requests in `requests`."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests: list[PostedRequest] = []
        self.server = ThreadedServer(self, "alert-receiver")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.requests.append(PostedRequest(request.method, request.url.path, dict(request.headers), body))
        await Response(status_code=self.status, headers=self.headers)(scope, receive, send)

    @property
    def url(self) -> str:
        return f"{self.server.url}/alerts/secret-path-of-the-tests"

    def alerts(self) -> list[tuple[str, str, str]]:
        """Kind, subject and state of each message that was posted."""
        posted = [each.json["data"] for each in self.requests if each.method == "POST"]
        return [(data["kind"], data["subject"], data["state"]) for data in posted]


@contextmanager
def running_alert_receiver() -> Iterator[AlertReceiver]:
    receiver = AlertReceiver()
    receiver.server.start()
    try:
        yield receiver
    finally:
        receiver.server.stop()
