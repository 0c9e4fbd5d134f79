"""The CRMs that `relay init` knows, and what it asks for each."""

from typing import Final
from urllib.parse import urlsplit

import msgspec
from pydantic import ValidationError

from relay.cli.init import texts
from relay.operations.languages import Text
from relay.settings import load_client_class
from relay.standards.addresses import is_loopback


class Key(msgspec.Struct, frozen=True):
    """The secret of a CRM. `setting`: its key in the destination; `file`: where it is written."""

    setting: str
    file: str
    question: Text
    expected: Text
    can_be_created: bool = False


class Crm(msgspec.Struct, frozen=True):
    """A CRM to choose. `settings`: what its destination has besides the answers."""

    name: str
    client: str
    destination: str
    label: Text
    settings: dict[str, str | bool] = {}
    url_setting: str = ""
    """The key of the address; empty if there is none."""
    url_question: Text | None = None
    """None: the address has a default, and only an option changes it."""
    url_expected: Text = texts.EXPECTED_URL
    key: Key | None = None
    runs_sql: bool = False
    """Whether a person has to run the SQL of the set-up."""

    def settings_for(self, url: str | None) -> dict[str, str | bool]:
        """Return the settings that an address needs: a webhook refuses this machine by default."""
        is_here = self.client == "webhook" and is_loopback(urlsplit(url or "").hostname or "")
        return {"allow_private": True} if is_here else {}

    def is_valid(self, setting: str, value: str) -> bool:
        """Whether the client accepts this value of one of its settings."""
        given: dict[str, object] = {"client": self.client, **self.settings, setting: value}
        try:
            load_client_class(self.client).Settings.model_validate(given)
        except ValidationError as error:
            return all(fault["loc"][:1] != (setting,) for fault in error.errors(include_url=False))
        return True


_SUPABASE_KEY: Final = Key("key", "supabase-key", texts.ASK_SUPABASE_KEY, texts.EXPECTED_KEY)

CRMS: Final = (
    Crm("local", "local", "crm", texts.LOCAL, {"path": "var/crm.db"}),
    Crm(
        "supabase",
        "supabase",
        "supabase",
        texts.SUPABASE,
        url_setting="url",
        url_question=texts.ASK_SUPABASE_URL,
        url_expected=texts.EXPECTED_SUPABASE_URL,
        key=_SUPABASE_KEY,
        runs_sql=True,
    ),
    Crm(
        "supabase-kv",
        "supabase",
        "supabase",
        texts.SUPABASE_KV,
        {"layout": "kv"},
        url_setting="url",
        url_question=texts.ASK_SUPABASE_URL,
        url_expected=texts.EXPECTED_SUPABASE_URL,
        key=_SUPABASE_KEY,
        runs_sql=True,
    ),
    Crm(
        "hubspot",
        "hubspot",
        "hubspot",
        texts.HUBSPOT,
        url_setting="base_url",
        key=Key("token", "hubspot-token", texts.ASK_HUBSPOT_KEY, texts.EXPECTED_KEY),
    ),
    Crm(
        "webhook",
        "webhook",
        "webhook",
        texts.WEBHOOK,
        url_setting="url",
        url_question=texts.ASK_WEBHOOK_URL,
        url_expected=texts.EXPECTED_WEBHOOK_URL,
        key=Key(
            "secret",
            "webhook-secret",
            texts.ASK_WEBHOOK_SECRET,
            texts.EXPECTED_WEBHOOK_SECRET,
            can_be_created=True,
        ),
    ),
)

BY_NAME: Final = {crm.name: crm for crm in CRMS}
