"""A webhook receiver that verifies each message with the library `standardwebhooks` and stores the calls."""

from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from crm_clients.conformance import HttpCrm, Request, Response
from crm_clients.webhook import WebhookClient

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz"
PATH = "/hooks/with-a-secret-path?key=f00d"


class Receiver(HttpCrm):
    """Stores one record per call, by the id in `data`, and deduplicates by message id.

    `keeps_merged`: whether it keeps merged calls, with `merged_into`, instead of deleting them.
    """

    Client = WebhookClient

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, dict[str, Any]] = {}
        self.seen: set[str] = set()
        self.keeps_merged = False

    def settings(self) -> dict[str, Any]:
        return {"url": self.url + PATH, "secret": SECRET, "allow_private": True}

    def secrets(self) -> set[str]:
        return {*super().secrets(), SECRET.removeprefix("whsec_"), "with-a-secret-path", "f00d"}

    def records(self, call_id: str) -> list[dict[str, Any]]:
        return [self.calls[call_id]] if call_id in self.calls else []

    def respond(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(405)
        try:
            message = Webhook(SECRET).verify(request.body, dict(request.headers))
        except WebhookVerificationError as error:
            return Response(401, {"message": str(error)})
        self._store(request.headers["webhook-id"], message["type"], message["data"])
        return Response(204)

    def _store(self, id_: str, type_: str, data: dict[str, Any]) -> None:
        if id_ in self.seen:
            return
        self.seen.add(id_)
        if type_ == "call.deleted" or (type_ == "call.merged" and not self.keeps_merged):
            self.calls.pop(data["id"], None)
        elif type_ != "call.merged" or data["id"] in self.calls:
            self.calls[data["id"]] = data
