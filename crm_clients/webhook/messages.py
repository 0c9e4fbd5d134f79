"""What a receiver is told: which call, what became of it, and under which id.

The body's shape is documented in docs/webhook.schema.json. `SCHEMA_VERSION` rises when something in
it changes its meaning or goes; what is only added leaves it as it is.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from crm_clients.base import Push, Retraction
from crm_clients.webhook.settings import LABEL, WebhookSettings
from relay.call import Call

SCHEMA_VERSION: Final = 1

CREATED: Final = "call.created"
UPDATED: Final = "call.updated"
MERGED: Final = "call.merged"
DELETED: Final = "call.deleted"
_FORGOTTEN: Final = "forgotten"


class Message(msgspec.Struct, frozen=True):
    """One event for the receiver. The same one keeps its `id` however often it is sent."""

    id: str
    type: str
    data: dict[str, Any]

    def body(self, moment: int) -> bytes:
        """As it is sent at this moment, in unix seconds."""
        timestamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {
            "type": self.type,
            "schema_version": SCHEMA_VERSION,
            "timestamp": timestamp,
            "data": self.data,
        }
        return msgspec.json.encode(said)


def pushed(push: Push, destination: str, settings: WebhookSettings) -> Message:
    """A call that is new to the receiver, or changed. The whole of it: a receiver may keep nothing."""
    type_ = CREATED if push.first else UPDATED
    return Message(_id(destination, push.call, type_), type_, _data(push.call, settings))


def retracted(retraction: Retraction, destination: str, settings: WebhookSettings) -> Message:
    """A call that went into another one, or is none of the receiver's any more."""
    type_ = MERGED if retraction.call.merged_into else DELETED
    return Message(_id(destination, retraction.call, type_), type_, _data(retraction.call, settings))


def forgotten(retraction: Retraction, destination: str) -> Message:
    """A call of which nothing may be kept: its id alone is said. It is no repetition of a retraction."""
    return Message(
        _id(destination, retraction.call, DELETED, _FORGOTTEN), DELETED, {"id": retraction.call.id}
    )


def _id(destination: str, call: Call, *what: str) -> str:
    named = msgspec.json.encode([destination, call.id, call.version, *what])
    return "msg_" + hashlib.sha256(named).hexdigest()[:32]


def _data(call: Call, settings: WebhookSettings) -> dict[str, Any]:
    """The canonical call, its fields under the names that the settings give them."""
    values = msgspec.to_builtins(call) | {LABEL: settings.label(call.status)}
    mapped = {theirs: values[ours] for ours, theirs in settings.mapping.items()}
    own = {"version": call.version, "merged_into": call.merged_into}
    return {"id": call.id} | mapped | own | settings.constants
