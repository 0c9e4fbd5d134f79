"""What a webhook can be told."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from relay.call import DELIVERED_FIELDS
from relay.standards.webhooks import decode_secret

LABEL: Final = "status_label"
"""What people read for a status; `status` itself keeps the canonical word, which programs hold on to."""

_HOW_TO_MAKE_ONE: Final = '`echo "whsec_$(openssl rand -base64 32)"` makes one'

OWN: Final = ("id", "version", "merged_into")
"""The keys of `data` that never go elsewhere: by them a receiver tells which call, and which is newer."""


class WebhookSettings(DestinationSettings):
    """An endpoint that takes signed POSTs."""

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DELIVERED_FIELDS, LABEL)

    url: str = Field(
        description="The endpoint's address. Its path and query count as secret: no message shows them."
    )
    secret: tuple[SecretStr, ...] = Field(
        min_length=1,
        description="What signs each request: `whsec_` and base64, as text or as a list. All of them sign, "
        "so that a receiver can change from one to another.",
    )
    allow_private: bool = Field(
        False,
        description="Whether the address may lead to this machine or into a private network. Off: it is "
        "refused, whatever a name resolves to.",
    )

    @field_validator("url")
    @classmethod
    def _whole_address(cls, url: str) -> str:
        try:
            parts, _ = urlsplit(url), httpx.URL(url).host
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable or "@" in parts.netloc or parts.fragment:
            raise ValueError("expected an http:// or https:// URL without a user or a fragment")
        return url

    @field_validator("secret", mode="before")
    @classmethod
    def _one_or_several(cls, secret: Any) -> Any:
        return tuple(secret.split()) if isinstance(secret, str) else secret

    @field_validator("secret")
    @classmethod
    def _signing(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            try:
                decode_secret(secret.get_secret_value())
            except ValueError as error:
                raise ValueError(f"{error}; {_HOW_TO_MAKE_ONE}") from None
        return secrets

    @model_validator(mode="after")
    def _apart(self) -> Self:
        require_distinct_names([*OWN, *self.mapping.values(), *self.constants])
        return self

    @property
    def mapping(self) -> Mapping[str, str]:
        """What each field is called in `data`. The label goes only where someone asked for one."""
        defaults = {field: field for field in (*DELIVERED_FIELDS, *((LABEL,) if self.labels else ()))}
        return self.remote_names(defaults)
