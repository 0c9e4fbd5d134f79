"""A CRM client for tests of the settings, installed as a plug-in: "notebook"."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Final, Protocol

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from crm_clients.base import CrmClient, Finding, Outcome, Push, Retraction
from crm_clients.settings import DestinationSettings
from relay.settings import Settings, plugins

SECRET: Final = "sb_secret_3f9a"


class LoadText(Protocol):
    """Load settings from this TOML text and these environment variables."""

    def __call__(self, toml: str = "", /, **env: str) -> Settings: ...


class LoadError(Protocol):
    """Return the message of the SettingsError for this TOML text, without the folder of the file."""

    def __call__(self, toml: str = "", /, **env: str) -> str: ...


class NotebookSettings(DestinationSettings):
    url: str = Field(description="URL of the notebook.")
    key: SecretStr | None = None
    pins: tuple[SecretStr, ...] = ()
    path: Path = Path("var/notebook.db")
    pages: list[str] = Field(default_factory=list)
    colour: str = Field("red", pattern="^(red|blue)$")
    ink: str = "black"
    to: tuple[int, ...] = Field((1,), alias="copy")

    @field_validator("url")
    @classmethod
    def _has_a_scheme(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError("needs a scheme")
        return url

    @field_validator("ink")
    @classmethod
    def _is_dark(cls, ink: str) -> str:
        if ink == "white":
            raise PydanticCustomError("too_pale", "cannot be read on paper")
        return ink


class NotebookClient(CrmClient[NotebookSettings]):
    Settings = NotebookSettings

    async def check(self) -> list[Finding]: ...  # type: ignore[empty-body]
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]: ...  # type: ignore[empty-body]
    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]: ...  # type: ignore[empty-body]
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]: ...  # type: ignore[empty-body]


class NotAClient:
    pass


def notebook_entries() -> EntryPoints:
    """The entry points of three plug-ins: one that works and two that cannot be loaded."""
    values = {
        "notebook": f"{__name__}:NotebookClient",
        "broken": "no.such.module:Client",
        "stranger": f"{__name__}:NotAClient",
    }
    return EntryPoints(EntryPoint(name, value, plugins.ENTRY_POINT_GROUP) for name, value in values.items())
