"""The settings of recordings, and of CloudTalk's REST API, from which they are read."""

from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from relay.cloudtalk.api import ApiAccess
from relay.settings import validators
from relay.settings.section import Section

S3_PREFIX: Final = "s3://"


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_none_if_empty)]
_Key = Annotated[SecretStr, AfterValidator(validators.token)]


class CloudTalkApi(Section):
    """CloudTalk's REST API, from which recordings and the history of calls are read. Optional."""

    key_id: str = Field(
        "", description="Id of an API key (CloudTalk → Account → Settings → API keys). Empty: no API is used."
    )
    key_secret: OptionalSecret = Field(None, description="Secret of this API key.")
    base_url: Annotated[str, AfterValidator(validators.public_url)] = Field(
        "https://my.cloudtalk.io/api", description="URL of the API."
    )
    analytics_url: Annotated[str, AfterValidator(validators.public_url)] = Field(
        "https://analytics-api.cloudtalk.io/api",
        description="URL of the analytics API, see `[enrich]`. It also identifies calls of the history that "
        "neither an id nor number and time identify.",
    )
    ai_url: Annotated[str, AfterValidator(validators.public_url)] = Field(
        "https://api.cloudtalk.io/v1/ai",
        description="URL of the API of Conversation Intelligence (summaries, transcripts), see `[enrich]`.",
    )
    requests_per_minute: int = Field(
        20,
        ge=1,
        le=60,
        description="Maximum number of requests per minute of all processes and commands that share the "
        "ledger. CloudTalk accepts 60 of your company, and counts those of your other programs too.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.key_id) != bool(self.key_secret):
            missing = "key_secret" if self.key_id else "key_id"
            raise ValueError(f"an API key is an id and a secret: {missing} is missing")
        return self

    def access(self) -> ApiAccess | None:
        """Return how the API is used; None without a key."""
        if self.key_secret is None:
            return None
        secret = self.key_secret.get_secret_value()
        return ApiAccess(self.key_id, secret, self.base_url, self.analytics_url, self.ai_url)


class S3(Section):
    """Access to an S3-compatible store."""

    endpoint: str = Field("", description="URL of the store. Empty: Amazon S3 in `region`.")
    region: str = Field("us-east-1", description="Region of the store.")
    access_key_id: str = Field(
        "", description="Id of the access key. Empty: the variables `AWS_…` or the role of the machine."
    )
    secret_access_key: OptionalSecret = Field(None, description="Secret of the access key.")


class Recordings(Section):
    """Recordings: links through the relay, a cache, and an archive that outlives CloudTalk's copy."""

    proxy: bool = Field(
        False,
        description="Whether the `recording_url` of a record is a signed link to the relay, which plays the "
        "recording. Needs `signing_keys` and `server.public_url`. If false, it is CloudTalk's link.",
    )
    allowed_hosts: tuple[Annotated[str, AfterValidator(validators.host_and_port)], ...] = Field(
        ("my.cloudtalk.io",),
        description="Hosts from which recordings are read, with a port if only that one is meant. Links and "
        "redirects to other hosts are not followed. The host of `cloudtalk.api.base_url` is always allowed.",
    )
    allow_private: bool = Field(
        False,
        description="Whether the names in `allowed_hosts` may resolve to this machine or to a private "
        "network. An IP address or `localhost` in `allowed_hosts` is allowed in any case.",
    )
    signing_keys: tuple[_Key, ...] = Field(
        (),
        description="Keys of the links, each of at least 16 characters; `openssl rand -hex 32` creates one. "
        "The first key signs, all verify: to replace a key, put the new one first.",
    )
    link_days: float = Field(
        0, ge=0, description="Days after the end of the call for which a link is valid. 0: for ever."
    )
    cache_mb: float = Field(
        500, ge=0, description="Megabytes of recordings on the disk. The ones played last are kept."
    )
    cache_path: Path = Field(
        Path("var/recordings-cache"), description="Folder of the cache. Several processes can share it."
    )
    max_mb: float = Field(300, gt=0, description="Megabytes of a recording at most. Larger ones are refused.")
    max_fetches: int = Field(
        4, ge=1, le=64, description="Maximum number of recordings that a process fetches at the same time."
    )
    keep: bool = Field(
        False,
        description="Whether each recording is archived when its call ends, so that it can be played after "
        "CloudTalk has deleted it. `privacy.recordings_days` limits how long.",
    )
    keep_url: str = Field(
        "var/recordings",
        description="Where the archive is: a folder, or `s3://BUCKET/PREFIX` on an S3-compatible store.",
    )
    keep_key: tuple[_Key, ...] = Field(
        (),
        description="Key that encrypts the archive, of at least 16 characters; `openssl rand -hex 32` "
        "creates one. Several keys are written as a list: the first encrypts, all decrypt. Without a key "
        "the archive is not encrypted. Keep a copy: without the key nobody can read the archive.",
    )
    s3: S3 = Field(default_factory=S3)

    @field_validator("keep_key", mode="before")
    @classmethod
    def _accept_one_key(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | SecretStr) else value

    @field_validator("cache_path")
    @classmethod
    def _resolve_folder(cls, path: Path, info: ValidationInfo) -> Path:
        return info.context / path if isinstance(info.context, Path) else path

    @field_validator("keep_url")
    @classmethod
    def _resolve_store(cls, url: str, info: ValidationInfo) -> str:
        if url.startswith(S3_PREFIX):
            if not urlsplit(url).netloc:
                raise ValueError("expected s3://BUCKET or s3://BUCKET/PREFIX")
            return url
        if not url or "://" in url:
            raise ValueError("expected the path of a folder, or s3://BUCKET/PREFIX")
        return str(info.context / url) if isinstance(info.context, Path) else url
