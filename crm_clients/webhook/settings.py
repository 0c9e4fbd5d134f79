"""Settings of a webhook."""

from collections.abc import Mapping
from typing import ClassVar, Final, Self

import httpx
from pydantic import Field, field_validator, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from relay.call import DELIVERED_FIELDS
from relay.standards.signing_secrets import SigningSecrets, validate_receiver

LABEL_FIELD: Final = "status_label"
"""The label of the status, for people. The field `status` always has the canonical word, for programs."""

RESERVED_KEYS: Final = ("id", "version", "merged_into")
"""Keys of `data` that cannot be renamed: by them a receiver finds the call and its newest version."""


class WebhookSettings(DestinationSettings):
    """An endpoint that accepts signed POSTs."""

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DELIVERED_FIELDS, LABEL_FIELD)

    url: str = Field(
        description="The endpoint's URL. Logs and error messages do not show its path and query, because "
        "they may be secret."
    )
    secret: SigningSecrets = Field(
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
            usable = bool(httpx.URL(url).host)  # it refuses more than the standard library does
        except (ValueError, httpx.InvalidURL):
            usable = False
        return validate_receiver(url if usable else "")

    @model_validator(mode="after")
    def _validate_mapping(self) -> Self:
        require_distinct_names([*RESERVED_KEYS, *self.mapping.values(), *self.constants])
        return self

    @property
    def mapping(self) -> Mapping[str, str]:
        """The key of each field in `data`. The label is sent only if the settings name it or a label."""
        defaults = {field: field for field in (*DELIVERED_FIELDS, *((LABEL_FIELD,) if self.labels else ()))}
        return self.remote_names(defaults)
