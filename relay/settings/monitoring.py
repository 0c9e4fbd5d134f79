"""The settings of what watches the relay from outside."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from relay.settings import validators
from relay.settings.section import Section


class Metrics(Section):
    """Metrics for Prometheus at `/metrics`."""

    tokens: tuple[Annotated[SecretStr, AfterValidator(validators.token)], ...] = Field(
        (),
        description="Tokens with which metrics are read, as `Authorization: Bearer` or as the password of "
        "Basic. A token has at least 16 characters; `openssl rand -hex 32` creates one. Without tokens only "
        "programs on the relay's machine may read metrics.",
    )
