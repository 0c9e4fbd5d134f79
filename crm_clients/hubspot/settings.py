"""The settings of a HubSpot destination, and the names of the properties that the relay creates."""

import re
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from crm_clients.hubspot.languages import TEXTS, Language, Texts
from crm_clients.settings import Constant, DestinationSettings

MAX_BATCH_SIZE: Final = 100
"""HubSpot: records per batch request."""

CALL_ID: Final = "cloudtalk_call_id"
TASK_ID: Final = "cloudtalk_task_id"
MERGED_INTO: Final = "cloudtalk_merged_into"
"""Properties that `setup` creates. CALL_ID and TASK_ID are unique: the relay finds its records by them."""

_RELAY_PROPERTIES: Final = frozenset({CALL_ID, TASK_ID, MERGED_INTO})

PHONE: Final = "phone"
MARKETING_STATUS: Final = "hs_marketable_status"
_CONTACT_PROPERTIES: Final = frozenset({PHONE, MARKETING_STATUS})
"""What the relay writes into each contact that it creates, and `contact_constants` cannot replace."""


class HubSpotSettings(DestinationSettings):
    """A HubSpot account, and how the relay writes calls to it."""

    RENDERED_BY: ClassVar[tuple[str, ...]] = (*DestinationSettings.RENDERED_BY, "language")
    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r"[a-z][a-z0-9_]{0,99}")

    token: SecretStr = Field(description="The account's service key, or a private app's access token.")
    api_version: str = Field(
        "2026-09",
        pattern=r"^(v3|\d{4}-\d{2})$",
        description='The version of HubSpot\'s API: "v3", or a date such as "2026-09".',
    )
    base_url: str = Field("https://api.hubapi.com", description="The address of HubSpot's API.")
    contacts: Literal["match", "create", "off"] = Field(
        "match",
        description="How a call is linked to the contact that has the customer's number. `match`: only to "
        "an existing contact; `create`: to an existing or a new contact; `off`: not at all.",
    )
    contacts_on_many: Literal["oldest", "newest", "all", "none"] = Field(
        "oldest",
        description="Which contact a call is linked to if several have the customer's number: the `oldest`, "
        "the `newest`, `all` of them, or `none`.",
    )
    language: Language = Field(
        "en", description="The language of titles, headings and tasks in HubSpot: `en` or `es`."
    )
    contact_constants: dict[str, Constant] = Field(
        default_factory=dict,
        description="Properties that every contact created by the relay gets: name in HubSpot → value.",
    )
    follow_up_tasks: bool = Field(
        True, description="Create a task to call back after a missed call: one per number and day."
    )
    task_constants: dict[str, Constant] = Field(
        default_factory=dict,
        description="Properties that every task gets when it is created: name in HubSpot → value. They "
        "replace what the relay writes itself, as `hs_task_priority`.",
    )
    owners_by_email: bool = Field(
        True,
        description="Whether the HubSpot user with the agent's e-mail address becomes the owner of the call.",
    )
    default_owner: str | None = Field(
        None, description="The owner of a task whose contact has no owner: an owner id or e-mail address."
    )
    search_rate: float = Field(
        4,
        gt=0,
        description="Maximum number of searches per second. HubSpot permits five for the whole account.",
    )
    rate: float | None = Field(
        None,
        gt=0,
        description="Maximum number of HTTP requests per second. Default: nine tenths of the limit that "
        "HubSpot reports.",
    )
    batch: int = Field(
        MAX_BATCH_SIZE, ge=1, le=MAX_BATCH_SIZE, description="Maximum number of calls in one push."
    )
    concurrency: int = Field(4, ge=1, le=32, description="Maximum number of pushes at the same time.")

    @property
    def texts(self) -> Texts:
        """The texts in the configured language."""
        return TEXTS[self.language]

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value().strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be the service key as HubSpot shows it: one word, not empty")
        return SecretStr(text)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("must be the address of HubSpot's API, for example https://api.hubapi.com")
        return url.strip().rstrip("/")

    @field_validator("default_owner")
    @classmethod
    def _check_default_owner(cls, owner: str | None) -> str | None:
        text = (owner or "").strip()
        if text and not text.isdigit() and "@" not in text:
            raise ValueError("must be an owner id (digits) or an e-mail address")
        return text or None

    @field_validator("contact_constants", "task_constants")
    @classmethod
    def _check_names(cls, constants: dict[str, Constant]) -> dict[str, Constant]:
        for name in constants:
            cls._validate_remote_name(name)
        return constants

    @field_validator("contact_constants")
    @classmethod
    def _exclude_contact_properties(cls, constants: dict[str, Constant]) -> dict[str, Constant]:
        for name in _CONTACT_PROPERTIES & {*constants}:
            raise ValueError(f'"{name}" is reserved: the relay sets it in each contact that it creates')
        return constants

    @field_validator("fields", "constants", "contact_constants", "task_constants")
    @classmethod
    def _exclude_relay_properties(cls, mapping: dict[str, object]) -> dict[str, object]:
        for name in _RELAY_PROPERTIES & {*mapping, *map(str, mapping.values())}:
            raise ValueError(f'"{name}" is reserved: the relay finds its own records by it')
        return mapping
