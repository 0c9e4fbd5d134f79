"""The messages that a receiver gets: their type, id and data.

docs/webhook.schema.json documents the body. `SCHEMA_VERSION` rises if a key is removed or changes its
meaning; a new key does not change it.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from crm_clients.base import Push, Retraction
from crm_clients.webhook.settings import LABEL_FIELD, WebhookSettings
from relay.call import Call

SCHEMA_VERSION: Final = 1

CREATED: Final = "call.created"
UPDATED: Final = "call.updated"
MERGED: Final = "call.merged"
DELETED: Final = "call.deleted"


class Message(msgspec.Struct, frozen=True):
    """One message. It keeps its `id` when it is sent again, so that a receiver can deduplicate.

    `changed`: the keys of `data` that a receiver writes into a record that exists; None for all.
    """

    id: str
    type: str
    data: dict[str, Any]
    changed: list[str] | None = None

    def encode(self, timestamp: int) -> bytes:
        """Encode the body. `timestamp`: the time of sending, in Unix seconds."""
        body = {
            "type": self.type,
            "schema_version": SCHEMA_VERSION,
            "timestamp": datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({"changed": self.changed} if self.changed is not None else {}),
            "data": self.data,
        }
        return msgspec.json.encode(body)


def upsert_message(push: Push, destination: str, settings: WebhookSettings) -> Message:
    """Build the message for a new or changed call. It has all fields: a receiver may store nothing."""
    type_ = CREATED if push.first else UPDATED
    data = _call_data(push.call, settings)
    fields = push.changed | ({LABEL_FIELD} if "status" in push.changed else set())
    changed = sorted(key for field, key in settings.mapping.items() if field in fields)
    return Message(_message_id(destination, push.call, type_), type_, data, changed)


def retract_message(retraction: Retraction, destination: str, settings: WebhookSettings) -> Message:
    """Build the message for a call that was merged into another one, or that must be deleted."""
    call = retraction.call
    type_ = MERGED if call.merged_into else DELETED
    return Message(_message_id(destination, call, type_), type_, _call_data(call, settings))


def forget_message(retraction: Retraction, destination: str) -> Message:
    """Build a deletion with only the call's id. Its message id differs from that of a retraction."""
    call = retraction.call
    return Message(_message_id(destination, call, DELETED, "forgotten"), DELETED, {"id": call.id})


def _message_id(destination: str, call: Call, *parts: str) -> str:
    digested = msgspec.json.encode([destination, call.id, call.version, *parts])
    return "msg_" + hashlib.sha256(digested).hexdigest()[:32]


def _call_data(call: Call, settings: WebhookSettings) -> dict[str, Any]:
    values = msgspec.to_builtins(call) | {LABEL_FIELD: settings.label(call.status)}
    mapped = {key: values[field] for field, key in settings.mapping.items()}
    fixed = {"version": call.version, "merged_into": call.merged_into}
    return {"id": call.id} | mapped | fixed | settings.constants
