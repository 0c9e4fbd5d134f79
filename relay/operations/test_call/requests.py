"""The events of a test call, as CloudTalk would send them.

The call has no telephone number of a customer, so no CRM matches or creates a contact for it, and it was
answered, so no CRM creates a task to call back.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from relay.operations.left_over_tests import RECORD_PREFIX
from relay.settings import Settings
from relay.standards.webhooks import Signer

ID_PREFIX: Final = RECORD_PREFIX.removeprefix("cloudtalk-")
"""No call of CloudTalk has an id like this."""

STARTED: Final = "call.started"
ENDED: Final = "call.ended"

_NAME: Final = "TEST · CloudTalk Relay"
_NOTES: Final = (
    "Test call of the relay, removed again at once. Llamada de prueba del relay: se elimina enseguida."
)
_WAITING_SECONDS: Final = 15
_TALKING_SECONDS: Final = 60


class EventRequest(msgspec.Struct, frozen=True):
    """One HTTP request that posts an event."""

    url: str
    headers: dict[str, str]
    content: bytes


class EventRequests:
    """Builds the requests of one test call. `record_id` is the id of the record that it becomes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = ID_PREFIX + secrets.token_hex(8)
        self._ended_at = datetime.now(UTC).replace(microsecond=0)
        self.record_id = f"cloudtalk-{self._id}"

    def request(self, event: str) -> EventRequest:
        """Return the request of an event with the first token of the settings, or with a signature if there
        is no token. Without both, the relay accepts requests of this machine.
        """
        cloudtalk = self._settings.cloudtalk
        url = f"{self._settings.server.public_url}{cloudtalk.webhook_path}/{event}"
        headers = {"Content-Type": "application/json"}
        if not cloudtalk.tokens and cloudtalk.signing_secrets:
            content = msgspec.json.encode(self._signed(event))
            signer = Signer([cloudtalk.signing_secrets[0].get_secret_value()], prefix="svix-")
            message_id = f"msg_{secrets.token_hex(12)}"
            return EventRequest(url, headers | signer.headers(message_id, int(time.time()), content), content)
        if cloudtalk.tokens:
            headers["Authorization"] = f"Bearer {cloudtalk.tokens[0].get_secret_value()}"
        return EventRequest(url, headers, msgspec.json.encode(self._data(event)))

    def _signed(self, event: str) -> dict[str, Any]:
        return {
            "event_id": f"evt_{secrets.token_hex(12)}",
            "type": event,
            "version": "v1",
            "occurred_at": _format(datetime.now(UTC)),
            "company_id": next(iter(self._settings.cloudtalk.company_ids), "relay-test"),
            "data": self._data(event),
        }

    def _data(self, event: str) -> dict[str, Any]:
        started_at = self._ended_at - timedelta(seconds=_WAITING_SECONDS + _TALKING_SECONDS)
        data: dict[str, Any] = {
            "call_uuid": self._id,
            "direction": "incoming",
            "started_at": _format(started_at),
            "contact_name": _NAME,
            "tags": ["test"],
            "notes": _NOTES,
        }
        if number := next(iter(self._settings.cloudtalk.own_numbers), None):
            data["internal_number"] = number
        if event == ENDED:
            data |= {
                "ended_at": _format(self._ended_at),
                "talking_time": _TALKING_SECONDS,
                "waiting_time": _WAITING_SECONDS,
            }
        return data


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
