"""The sections of the settings file: every key with its type, default and description.

`docs/settings.md` is generated from this module (`python -m relay.settings`). To add a section, add a
class and a field of `Settings`.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crm_clients.settings import DestinationSettings
from relay.call import RecordingLinks
from relay.settings import validators
from relay.settings.enrichment import Enrich
from relay.settings.monitoring import Alerts, Metrics, Telemetry
from relay.settings.origins import Origin
from relay.settings.recordings import CloudTalkApi, Recordings
from relay.settings.secrets import SecretUrl
from relay.settings.section import Section
from relay.standards.office_hours import OfficeHours

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: Final = get_args(Weekday)


def local_url(host: str, port: int) -> str:
    """Build the URL at which a program on this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


class Server(Section):
    """The address on which the relay listens, and the URL at which others reach it."""

    host: Annotated[str, AfterValidator(validators.host)] = Field(
        "127.0.0.1", description="Address to listen on. `0.0.0.0` listens on all addresses and needs a token."
    )
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        description="Port to listen on. 0 chooses a free port; the log event `server.ready` shows the URL "
        "with this port.",
    )
    public_url: Annotated[str, AfterValidator(validators.public_url)] = Field(
        default_factory=lambda known: local_url(known["host"], known["port"]),
        description="URL at which CloudTalk and users reach the relay. Default: `http://HOST:PORT`.",
    )
    max_in_flight: int = Field(
        1000,
        ge=1,
        description="Maximum number of requests in progress; if the limit of open files leaves fewer "
        "connections, their number counts. Further requests are answered 503, so that the sender retries "
        "them. Requests that are not authenticated yet get a quarter of it.",
    )
    max_in_flight_bytes: int = Field(
        67_108_864,
        ge=1,
        description="Maximum size in bytes of all request bodies in memory. Further requests are answered "
        "503, so that the sender retries them. Requests that are not authenticated yet get a quarter of it.",
    )
    keep_alive_seconds: float = Field(
        75,
        gt=0,
        description="Seconds after which an idle connection is closed. If a reverse proxy is in front of "
        "the relay, the value must be higher than the keep-alive time of the proxy (nginx: "
        "60). Otherwise the proxy loses requests.",
    )

    def url_on(self, port: int) -> str:
        """Return the public URL. `port`: the port that was bound, which differs from the setting 0."""
        return self.public_url if "public_url" in self.model_fields_set else local_url(self.host, port)


class CloudTalk(Section):
    """The webhook that CloudTalk calls: authentication, and how its events are parsed."""

    webhook_path: Annotated[str, AfterValidator(validators.webhook_path)] = Field(
        "/cloudtalk/webhook",
        description="Path of the webhook. Every path below it belongs to the webhook too.",
    )
    tokens: tuple[Annotated[SecretStr, AfterValidator(validators.token)], ...] = Field(
        (),
        description="Tokens that authenticate a request, each as `Authorization: Bearer`, Basic password, "
        "`X-Webhook-Token` or `?token=`. A token has at least 16 characters; `openssl rand -hex 32` creates "
        "one. Without tokens and signing secrets the relay accepts requests "
        "from this machine only.",
    )
    signing_secrets: tuple[Annotated[SecretStr, AfterValidator(validators.signing_secret)], ...] = Field(
        (),
        description="Secrets that verify CloudTalk's signed webhooks (`whsec_…`), each of at least 24 bytes. "
        "A request with a wrong signature is rejected even if its token is valid.",
    )
    secret_keys: tuple[str, ...] = Field(
        ("secret", "token", "lhc_key"),
        description="Names of keys in a body. The value of such a key authenticates the request like a "
        "token, and is never stored. A body of more than 64 KiB or 2000 values needs its token in a header "
        "or in the query. Values of usual keys of credentials (`api_key`, `authorization`, `password`, "
        "`access_token` and others) are not stored either, but authenticate nothing.",
    )
    paths: Annotated[dict[str, str], AfterValidator(validators.event_paths)] = Field(
        default_factory=dict,
        description="Table from path to event name, for paths below the webhook whose last segment is not "
        "an event name.",
    )
    own_numbers: tuple[str, ...] = Field(
        (),
        description="The company's own numbers. The relay uses them to find the direction of a call if "
        "the body does not contain it.",
    )
    company_ids: tuple[Annotated[str, AfterValidator(validators.company_id)], ...] = Field(
        (),
        description="The `company_id` of your CloudTalk accounts. A signed webhook that names another one is "
        "acknowledged and put into quarantine. Empty: every account is accepted.",
    )
    grace_seconds: float = Field(
        120,
        ge=0,
        description="Seconds for which an event with only a `call_id` (for example a recording) waits for "
        "its call. If no call is found, the event creates a new call.",
    )
    timezone: Annotated[str, AfterValidator(validators.timezone)] = Field(
        "Europe/Madrid", description="Time zone of timestamps that have no offset."
    )
    default_region: Annotated[str, AfterValidator(validators.region)] = Field(
        "ES",
        description="Country of telephone numbers that are sent without a country code. Digits without "
        '"+" are only read as national if they are no valid international number.',
    )
    forward_internal: bool = Field(
        False, description="Whether internal calls (between colleagues) are delivered to the CRMs."
    )
    max_body_bytes: int = Field(1_048_576, ge=1, description="Maximum size of a request body in bytes.")
    api: CloudTalkApi = Field(default_factory=CloudTalkApi)


class Ledger(Section):
    """The database that stores every accepted event until it is delivered to every CRM."""

    url: Annotated[SecretUrl, AfterValidator(validators.ledger_url)] = Field(
        SecretUrl("sqlite:///var/relay.db"),
        description="`sqlite:///PATH` (relative to the settings file), `sqlite:////PATH` (absolute), or "
        "`postgresql://USER:PASSWORD@HOST/DATABASE`, which several relays can share.",
    )

    @property
    def path(self) -> Path | None:
        """The file of an SQLite ledger; None for PostgreSQL."""
        url = self.url.get_secret_value()
        path = url.removeprefix(validators.SQLITE_PREFIX)
        return None if path == url else Path(path)


class Delivery(Section):
    """When a failed push is retried, and when the relay gives up."""

    first_retry_seconds: float = Field(5, gt=0, description="Seconds until the first retry.")
    longest_retry_seconds: float = Field(
        3600,
        gt=0,
        description="Maximum seconds between two attempts. Each wait is longer than the wait before it.",
    )
    give_up_after_hours: float = Field(
        72,
        gt=0,
        description="Hours after which a delivery that keeps failing becomes a dead letter. Only time in "
        "which the CRM accepts other calls is counted.",
    )

    @field_validator("longest_retry_seconds")
    @classmethod
    def _not_shorter_than_first_retry(cls, longest: float, info: ValidationInfo) -> float:
        first = info.data.get("first_retry_seconds", 0)
        if longest < first:
            raise ValueError(f"expected at least delivery.first_retry_seconds, {first:g}")
        return longest


class Reconcile(Section):
    """Search CloudTalk's history for calls that no event announced, and for what is missing of the others.

    It needs `cloudtalk.api`. `relay backfill` imports what is older.
    """

    every_minutes: float = Field(
        0,
        ge=0,
        description="Minutes between two searches. 0: none. Recommended: 15. A search needs one request "
        "for each 1000 calls of the last day or so, and one for a call that it cannot identify otherwise.",
    )
    look_back_hours: float = Field(
        2,
        gt=0,
        le=720,
        description="Hours before the end of the last search from which on a search reads. A call is in the "
        "history once it is over, so the longest call must be shorter.",
    )


class Audit(Section):
    """Compare CloudTalk's history, the ledger and each CRM every night, call by call.

    The history is compared if the settings have `cloudtalk.api`. `relay audit` compares any other time.
    """

    at: str = Field(
        "03:30",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        description="When the audit begins: hours and minutes in `cloudtalk.timezone`. Empty: no audit.",
    )
    look_back_days: float = Field(
        7,
        gt=0,
        le=366,
        description="Days before the last audit from which on calls are compared: what is lost in a CRM "
        "later is found by `relay audit`.",
    )
    repair: bool = Field(
        True,
        description="Whether calls that the ledger lacks are imported, and records that a CRM lost are "
        "written again. If false, the audit only names them.",
    )


class FollowUp(Section):
    """Missed calls, and the calls after them in which somebody talked to the customer."""

    window_days: float = Field(
        7,
        gt=0,
        le=365,
        description="Days after a missed call in which a conversation with the customer, in either "
        "direction, counts as the call back. Then the record needs no follow-up any more, and its task is "
        "completed.",
    )
    call_back_within_minutes: float = Field(
        60,
        gt=0,
        le=43_200,
        description="Minutes that people have to call back: a task is due so long after the missed call. "
        "Only time within the office hours counts, so a call that was missed at night is due in the morning.",
    )
    office_hours: Annotated[tuple[str, ...], AfterValidator(validators.office_hours)] = Field(
        (),
        description='When people work, in `cloudtalk.timezone`: `["09:00-14:00", "16:00-19:00"]`. A '
        "night shift ends on the next day: `22:00-06:00`. Empty: always. With office hours, waits for a call "
        "back are shown in office time.",
    )
    office_days: tuple[Weekday, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri"), min_length=1, description="The days with office hours."
    )
    holidays: tuple[date, ...] = Field((), description="Days without office hours.")


class Console(Section):
    """The pages for people at `/console`."""

    tokens: tuple[Annotated[SecretStr, AfterValidator(validators.token)], ...] = Field(
        (),
        description="Tokens with which a person signs in. A token has at least 16 characters; "
        "`openssl rand -hex 32` creates one. Give each person an own token: removing it ends the sessions of "
        "this person. Without tokens only a browser on this machine may use the console, and nobody if "
        "`server.host` or `server.public_url` names another machine.",
    )
    idle_minutes: float = Field(
        60, gt=0, description="Minutes without a request after which a person must sign in again."
    )
    session_hours: float = Field(
        12, gt=0, description="Hours after which a person must sign in again in any case."
    )


class Privacy(Section):
    """Retention: how long the relay keeps data. Pending deliveries and dead letters never expire."""

    events_days: float = Field(
        30,
        gt=0,
        description="Days for which the bodies that CloudTalk sent are kept, including bodies in "
        "quarantine. The calls that were built from removed bodies stay.",
    )
    calls_days: float = Field(
        730,
        gt=0,
        description="Days for which a call is kept in the ledger, counted from its last change: an old call "
        "that is imported is kept as long as a new one. Records in the CRMs are not removed.",
    )
    recordings_days: float = Field(
        7,
        gt=0,
        description="Days for which a recording is kept in the archive (`recordings.keep`) and in the cache, "
        "counted from its fetch.",
    )

    attempts_days: float = Field(
        30,
        gt=0,
        description="Days for which each attempt to deliver a call is kept, with the answer of the CRM, and "
        "each action of a person. The last answer is kept as long as the call.",
    )

    @field_validator("calls_days")
    @classmethod
    def _not_shorter_than_events(cls, calls_days: float, info: ValidationInfo) -> float:
        events_days = info.data.get("events_days", 0)
        if calls_days < events_days:
            raise ValueError(f"expected at least privacy.events_days, {events_days:g}")
        return calls_days


class Log(Section):
    """The log, which is written to standard output."""

    format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="`json`: one JSON object per line; `console`: readable text; `auto`: `console` on a "
        "terminal, else `json`.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lines below this level are not written."
    )
    personal_data: Literal["masked", "plain"] = Field(
        "masked", description="Whether telephone numbers and names are masked or shown in plain text."
    )


class Settings(Section):
    """All settings. Relative paths are already resolved against `folder`.

    `load` creates it. A test can use `Settings.model_validate({...}, context=folder)`.
    """

    server: Server = Field(default_factory=Server)
    cloudtalk: CloudTalk = Field(default_factory=CloudTalk)
    ledger: Ledger = Field(default_factory=Ledger)
    delivery: Delivery = Field(default_factory=Delivery)
    reconcile: Reconcile = Field(default_factory=Reconcile)
    audit: Audit = Field(default_factory=Audit)
    enrich: Enrich = Field(default_factory=Enrich)
    follow_up: FollowUp = Field(default_factory=FollowUp)
    console: Console = Field(default_factory=Console)
    metrics: Metrics = Field(default_factory=Metrics)
    alerts: Alerts = Field(default_factory=Alerts)
    telemetry: Telemetry = Field(default_factory=Telemetry)
    recordings: Recordings = Field(default_factory=Recordings)
    privacy: Privacy = Field(default_factory=Privacy)
    log: Log = Field(default_factory=Log)
    destinations: dict[str, DestinationSettings] = Field(default_factory=dict)

    _folder: Path = PrivateAttr(default_factory=Path)
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def folder(self) -> Path:
        """The folder of the settings file."""
        return self._folder

    @property
    def origin(self) -> Origin:
        """Where the values come from."""
        return self._origin

    def with_origin(self, origin: Origin) -> Self:
        """Return these settings with another origin."""
        settings = self.model_copy()
        settings._origin = origin  # noqa: SLF001 - of the same class
        return settings

    @model_validator(mode="before")
    @classmethod
    def _add_missing_sections(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Validate defaults like written values: a relative path among them needs the folder."""
        return {name: {} for name in cls.model_fields} | data

    @property
    def office_hours(self) -> OfficeHours:
        """The hours in which people call back."""
        follow_up = self.follow_up
        return OfficeHours(
            ZoneInfo(self.cloudtalk.timezone),
            tuple(sorted(map(validators.parse_hours, follow_up.office_hours))),
            frozenset(_WEEKDAYS.index(day) for day in follow_up.office_days),
            frozenset(follow_up.holidays),
        )

    @property
    def recording_links(self) -> RecordingLinks | None:
        """How links to recordings are made; None if records have CloudTalk's links."""
        keys = tuple(key.get_secret_value().encode() for key in self.recordings.signing_keys)
        if not self.recordings.proxy or not keys:
            return None
        return RecordingLinks(self.server.public_url, keys, self.recordings.link_days)

    def connect_destinations(self) -> None:
        """Give every destination the links to recordings of these settings."""
        for destination in self.destinations.values():
            destination._recording_links = self.recording_links  # noqa: SLF001 - it is the same for all

    def model_post_init(self, context: Any, /) -> None:
        """Store the folder, which is passed as the context of the validation."""
        self.connect_destinations()
        if isinstance(context, Path):
            self._folder = context
