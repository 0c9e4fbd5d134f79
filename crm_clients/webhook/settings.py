"""Settings of a webhook."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from relay.call import DELIVERED_FIELDS
from relay.standards.webhooks import decode_secret

LABEL_FIELD: Final = "status_label"
"""The label of the status, for people. The field `status` always has the canonical word, for programs."""

RESERVED_KEYS: Final = ("id", "version", "merged_into")
"""Keys of `data` that cannot be renamed: by them a receiver finds the call and its newest version."""

_HOW_TO_CREATE: Final = '`echo "whsec_$(openssl rand -base64 32)"` creates one'


class WebhookSettings(DestinationSettings):
    """An endpoint that accepts signed POSTs."""

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DELIVERED_FIELDS, LABEL_FIELD)

    url: str = Field(
        description="The endpoint's URL. Logs and error messages do not show its path and query, because "
        "they may be secret."
    )
    secret: tuple[SecretStr, ...] = Field(
        min_length=1,
        description="The secret that signs each request: `whsec_` followed by base64. Several secrets are "
        "written as a list or separated by spaces. Each secret then signs every request, so "
        "that the receiver can change its secret.",
    )
    allow_private: bool = Field(
        False,
        description="Whether the URL may lead to this machine or to a private network. If false, such "
        "addresses are refused, even if a public host name resolves to them.",
    )

    @field_validator("url")
    @classmethod
    def _validate_url(cls, url: str) -> str:
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
    def _split_secrets(cls, secret: Any) -> Any:
        return tuple(secret.split()) if isinstance(secret, str) else secret

    @field_validator("secret")
    @classmethod
    def _validate_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            try:
                decode_secret(secret.get_secret_value())
            except ValueError as error:
                raise ValueError(f"{error}; {_HOW_TO_CREATE}") from None
        return secrets

    @model_validator(mode="after")
    def _validate_mapping(self) -> Self:
        require_distinct_names([*RESERVED_KEYS, *self.mapping.values(), *self.constants])
        return self

    @property
    def mapping(self) -> Mapping[str, str]:
        """The key of each field in `data`. The label is sent only if the settings name it or a label."""
        defaults = {field: field for field in (*DELIVERED_FIELDS, *((LABEL_FIELD,) if self.labels else ()))}
        return self.remote_names(defaults)
