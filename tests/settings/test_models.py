"""The models of the settings: computed values and immutability."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from relay import settings as package
from relay.settings.models import local_url
from tests.support.notebook import LoadText


def test_settings_are_immutable(load_text: LoadText) -> None:
    settings = load_text("[destinations.a]\nclient='notebook'\nurl='x://'")
    for model in (settings, settings.server, settings.destinations["a"]):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, next(iter(type(model).model_fields)), 1)


def test_the_public_url_follows_host_and_port_by_default(load_text: LoadText) -> None:
    assert load_text("server.port = 9").server.public_url == "http://127.0.0.1:9"
    assert load_text("server.host = '::1'").server.public_url == "http://[::1]:8080"
    server = load_text("server.port = 9\nserver.public_url = 'https://localhost/x'").server
    assert server.public_url == server.url_on(1234) == "https://localhost/x"


def test_with_port_0_the_public_url_has_the_bound_port(load_text: LoadText) -> None:
    assert load_text("server.port = 0").server.url_on(1234) == "http://127.0.0.1:1234"


def test_the_local_url_of_all_addresses_is_loopback() -> None:
    assert local_url("0.0.0.0", 1) == "http://127.0.0.1:1"  # noqa: S104 - nothing is bound
    assert local_url("::", 1) == "http://[::1]:1"


def test_an_absolute_ledger_path_is_kept(load_text: LoadText) -> None:
    assert load_text("ledger.url = 'sqlite:////srv/relay.db'").ledger.path == Path("/srv/relay.db")


def test_every_name_in_all_exists() -> None:
    assert all(hasattr(package, name) for name in package.__all__)
