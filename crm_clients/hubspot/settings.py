"""What a HubSpot destination can be told."""

import re
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from crm_clients.settings import DestinationSettings

MOST_INPUTS: Final = 100
"""HubSpot: records in one batch request."""

CALL_ID: Final = "cloudtalk_call_id"
TASK_ID: Final = "cloudtalk_task_id"
MERGED_INTO: Final = "cloudtalk_merged_into"
"""The properties that `setup` makes; the first two are unique, so that records are found by them."""

_OURS: Final = frozenset({CALL_ID, TASK_ID, MERGED_INTO})


class HubSpotSettings(DestinationSettings):
    """A HubSpot account, and how calls are kept in it."""

    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r"[a-z][a-z0-9_]{0,99}")

    token: SecretStr = Field(description="The account's service key, or a private app's access token.")
    api_version: str = Field(
        "2026-09",
        pattern=r"^(v3|\d{4}-\d{2})$",
        description='The version of HubSpot\'s API: "v3" or a date, as "2026-09".',
    )
    base_url: str = Field("https://api.hubapi.com", description="Where HubSpot's API is.")
    contacts: Literal["match", "create", "off"] = Field(
        "match",
        description="Whether a call is linked to the contact with its number: only where there is one, "
        "or one is made where there is none, or not at all.",
    )
    follow_up_tasks: bool = Field(
        True, description="A task for who was missed: one per number and day, to call back."
    )
    owners_by_email: bool = Field(
        True, description="A call belongs to the HubSpot user with its agent's e-mail address."
    )
    default_owner: str | None = Field(
        None, description="Who calls back where the contact has no owner: an owner's id or e-mail address."
    )
    search_rate: float = Field(
        4, gt=0, description="Searches per second, at most; the whole account has five."
    )
    rate: float | None = Field(
        None,
        gt=0,
        description="HTTP requests per second, at most. Unless given, nine tenths of what HubSpot says that "
        "it permits.",
    )
    batch: int = Field(MOST_INPUTS, ge=1, le=MOST_INPUTS, description="Calls in one push, at most.")
    concurrency: int = Field(4, ge=1, le=32, description="Pushes under way at once.")

    @field_validator("token")
    @classmethod
    def _usable_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value().strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be the service key as HubSpot shows it: not empty, one word")
        return SecretStr(text)

    @field_validator("base_url")
    @classmethod
    def _api_address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("must be the address of HubSpot's API, like https://api.hubapi.com")
        return url.strip().rstrip("/")

    @field_validator("default_owner")
    @classmethod
    def _one_owner(cls, owner: str | None) -> str | None:
        text = (owner or "").strip()
        if text and not text.isdigit() and "@" not in text:
            raise ValueError("must be an owner's id (digits) or e-mail address")
        return text or None

    @field_validator("fields", "constants")
    @classmethod
    def _not_ours(cls, mapping: dict[str, object]) -> dict[str, object]:
        for name in _OURS & {*mapping, *map(str, mapping.values())}:
            raise ValueError(f'"{name}" is how the relay finds its records again')
        return mapping
