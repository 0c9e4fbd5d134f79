"""Everything that can be set, typed, with its meaning.

A new section is a class here and a field of `Settings`; `docs/settings.md` is made of the
descriptions (`python -m relay.settings`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crm_clients.settings import DestinationSettings
from relay.settings import validators
from relay.settings.secrets import SecretUrl


def local_url(host: str, port: int) -> str:
    """Build the URL at which a program on this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


class Section(BaseModel):
    """A table of the settings file. Its docstring stands in the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


class Server(Section):
    """Where the relay listens, and under which address others find it."""

    host: Annotated[str, AfterValidator(validators.host)] = Field(
        "127.0.0.1", description="Address to listen on. `0.0.0.0` listens on all, and needs a token."
    )
    port: int = Field(
        8080, ge=0, le=65535, description="Port to listen on. 0: any free one; the log says which."
    )
    public_url: Annotated[str, AfterValidator(validators.public_url)] = Field(
        default_factory=lambda known: local_url(known["host"], known["port"]),
        description="Where CloudTalk and people reach the relay. Unless set: `http://HOST:PORT`.",
    )
    max_in_flight: int = Field(
        1000, ge=1, description="Requests under way at once; what comes beyond is asked to come again."
    )

    max_in_flight_bytes: int = Field(
        67_108_864,
        ge=1,
        description="Bytes of their bodies held in memory at once; what comes beyond is asked to come again.",
    )

    def url_on(self, port: int) -> str:
        """The public URL once the port is bound, which port 0 leaves open until then."""
        return self.public_url if "public_url" in self.model_fields_set else local_url(self.host, port)


class CloudTalk(Section):
    """What CloudTalk sends, and how it proves that it is CloudTalk."""

    webhook_path: Annotated[str, AfterValidator(validators.webhook_path)] = Field(
        "/cloudtalk/webhook", description="Path of the hook. Every path below it belongs to it too."
    )
    tokens: tuple[Annotated[SecretStr, AfterValidator(validators.token)], ...] = Field(
        (),
        description="Any of these opens the hook, as `Authorization: Bearer`, Basic password, "
        "`X-Webhook-Token` or `?token=`. Neither these nor signing secrets: the relay "
        "serves this machine only.",
    )
    signing_secrets: tuple[Annotated[SecretStr, AfterValidator(validators.signing_secret)], ...] = Field(
        (),
        description="Any of these verifies CloudTalk's signed webhooks (`whsec_…`). A signature that is "
        "there and wrong is refused whatever the token.",
    )
    secret_keys: tuple[str, ...] = Field(
        ("secret", "token", "lhc_key"),
        description="Keys in bodies whose values open the hook like a token, and are never stored.",
    )
    paths: Annotated[dict[str, str], AfterValidator(validators.event_paths)] = Field(
        default_factory=dict,
        description="Which event a path below the hook stands for, where its last segment does not say so.",
    )
    own_numbers: tuple[str, ...] = Field(
        (), description="The company's own lines: they tell the direction where a body does not."
    )
    grace_seconds: float = Field(
        120,
        ge=0,
        description="How long what bears the call's number alone (a recording, say) waits to be "
        "linked to its call before it makes a record of its own.",
    )
    timezone: Annotated[str, AfterValidator(validators.timezone)] = Field(
        "Europe/Madrid", description="Time zone of times that come without one."
    )
    default_region: Annotated[str, AfterValidator(validators.region)] = Field(
        "ES", description="Country of numbers that come without a country code."
    )
    forward_internal: bool = Field(
        False, description="Whether calls between colleagues are brought to the CRMs too."
    )
    max_body_bytes: int = Field(1_048_576, ge=1, description="Largest body that is taken, in bytes.")


class Ledger(Section):
    """The durable memory of everything that was accepted."""

    url: Annotated[SecretUrl, AfterValidator(validators.ledger_url)] = Field(
        SecretUrl("sqlite:///var/relay.db"),
        description="Where it lies: `sqlite:///PATH`, `sqlite:////PATH` for an absolute path, or "
        "`postgresql://USER:PASSWORD@HOST/DATABASE`, which several relays may share.",
    )

    @property
    def path(self) -> Path | None:
        """SQLite's file; None where a server keeps the ledger."""
        url = self.url.get_secret_value()
        return Path(url.removeprefix(validators.SQLITE)) if url.startswith(validators.SQLITE) else None


class Delivery(Section):
    """When a push that failed is tried again."""

    first_retry_seconds: float = Field(5, gt=0, description="Seconds until the second attempt.")
    longest_retry_seconds: float = Field(
        3600, gt=0, description="Seconds between two attempts, at most: each wait is longer than the last."
    )
    give_up_after_hours: float = Field(
        72,
        gt=0,
        description="Hours after which a call that alone keeps failing becomes a dead letter. "
        "While the whole CRM is down this clock stands still.",
    )

    @field_validator("longest_retry_seconds")
    @classmethod
    def _not_shorter_than_the_first(cls, longest: float, info: ValidationInfo) -> float:
        first = info.data.get("first_retry_seconds", 0)
        if longest < first:
            raise ValueError(f"expected at least delivery.first_retry_seconds, {first:g}")
        return longest


class Privacy(Section):
    """How long the relay remembers. What is owed to a CRM, or waits for a person, is kept however old."""

    events_days: float = Field(
        30,
        gt=0,
        description="Days for which the bodies that CloudTalk sent are kept, those in quarantine too. "
        "What they said of their calls stays.",
    )
    calls_days: float = Field(
        730, gt=0, description="Days for which a call is kept in the ledger; the CRMs keep their records."
    )

    @field_validator("calls_days")
    @classmethod
    def _not_shorter_than_events(cls, calls_days: float, info: ValidationInfo) -> float:
        events_days = info.data.get("events_days", 0)
        if calls_days < events_days:
            raise ValueError(f"expected at least privacy.events_days, {events_days:g}")
        return calls_days


class Log(Section):
    """What the relay writes to standard output."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`: an object a line; `console`: for people; `auto`: by where it goes."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is worth a line."
    )
    personal_data: Literal["masked", "plain"] = Field(
        "masked", description="Whether telephone numbers and names are masked."
    )


class Settings(Section):
    """What a settings file and the environment come to.

    Relative paths are already read from `folder`. Made by `load`; a test may use
    `Settings.model_validate({...}, context=folder)`.
    """

    server: Server = Field(default_factory=Server)
    cloudtalk: CloudTalk = Field(default_factory=CloudTalk)
    ledger: Ledger = Field(default_factory=Ledger)
    delivery: Delivery = Field(default_factory=Delivery)
    privacy: Privacy = Field(default_factory=Privacy)
    log: Log = Field(default_factory=Log)
    destinations: dict[str, DestinationSettings] = Field(default_factory=dict)

    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def folder(self) -> Path:
        """The settings file's folder, from which relative paths are read."""
        return self._folder

    @model_validator(mode="before")
    @classmethod
    def _read_sections_that_are_not_written(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Defaults are read like what is written, because a relative path among them needs the folder."""
        return {name: {} for name in cls.model_fields} | data

    def model_post_init(self, context: Any, /) -> None:
        """Keep the folder, which comes as the validation's context."""
        if isinstance(context, Path):
            self._folder = context
