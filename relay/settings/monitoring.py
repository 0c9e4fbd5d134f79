"""The settings of what watches the relay from outside."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator

from relay.settings import validators
from relay.settings.section import Section
from relay.standards.addresses import is_ip_address
from relay.standards.signing_secrets import SigningSecrets, validate_receiver


class Metrics(Section):
    """Metrics for Prometheus at `/metrics`."""

    tokens: tuple[Annotated[SecretStr, AfterValidator(validators.token)], ...] = Field(
        (),
        description="Tokens with which metrics are read, as `Authorization: Bearer` or as the password of "
        "Basic. A token has at least 16 characters; `openssl rand -hex 32` creates one. Without tokens only "
        "programs on the relay's machine may read metrics.",
    )


class Alerts(Section):
    """Messages to a person when something is wrong, and when it is right again."""

    webhook_url: SecretStr = Field(
        SecretStr(""),
        description="URL to which alerts are sent by POST: of your own program, of Slack or of Teams. Logs "
        "and "
        "messages do not show it, because such URLs are secret. Empty: no alerts.",
    )
    format: Literal["json", "slack", "teams"] = Field(
        "json",
        description="`json`: for programs, as a message of Standard Webhooks; `slack`: for an incoming "
        "webhook of Slack; `teams`: for a workflow of Microsoft Teams.",
    )
    secret: SigningSecrets = Field(
        (),
        description="The secret that signs each request as Standard Webhooks does: `whsec_` followed by "
        "base64. Several secrets are written as a list or separated by spaces. Empty: requests are not "
        "signed.",
    )
    language: Literal["en", "es"] = Field("en", description="Language of the sentences.")
    allow_private: bool = Field(
        False,
        description="Whether a host name in the URL may resolve to this machine or to a private network. An "
        "IP "
        "address or `localhost` in the URL is allowed in any case.",
    )

    @field_validator("webhook_url")
    @classmethod
    def _validate_url(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value():
            validate_receiver(url.get_secret_value())
        return url

    @property
    def host(self) -> str:
        """The host of the URL; empty if there is none."""
        return urlsplit(self.webhook_url.get_secret_value()).hostname or ""

    @property
    def may_be_private(self) -> bool:
        """Whether the receiver may be on this machine or in a private network."""
        return self.allow_private or is_ip_address(self.host) or self.host == "localhost"


class Telemetry(Section):
    """Traces for OpenTelemetry: one trace for each call, from its first event to its pushes."""

    otlp_endpoint: Annotated[str, AfterValidator(validators.optional_base_url)] = Field(
        "",
        description="Base URL of a collector that accepts OTLP over HTTP, such as `http://127.0.0.1:4318`; "
        "spans "
        "are sent to `/v1/traces` below it. Empty: no traces.",
    )
    otlp_headers: tuple[Annotated[SecretStr, AfterValidator(validators.header)], ...] = Field(
        (),
        description="Headers that the collector needs; a change needs a restart. Each is written as `Name: "
        "value`, such as `Authorization: "
        "Bearer …`.",
    )
