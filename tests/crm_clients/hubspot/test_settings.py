"""A HubSpot destination's settings: what is refused, and that no secret is repeated."""

from typing import Any

import pytest
from pydantic import ValidationError

from crm_clients.hubspot.settings import HubSpotSettings


def settings(**said: Any) -> HubSpotSettings:
    return HubSpotSettings.model_validate({"client": "hubspot", "token": "pat-eu1-1", **said})


def test_the_defaults_are_those_of_the_newest_version() -> None:
    chosen = settings()
    assert (chosen.api_version, chosen.base_url) == ("2026-09", "https://api.hubapi.com")
    assert (chosen.contacts, chosen.batch, chosen.concurrency, chosen.rate) == ("match", 100, 4, None)
    assert chosen.follow_up_tasks
    assert chosen.owners_by_email


@pytest.mark.parametrize(
    "said",
    [
        {"token": ""},
        {"token": " "},
        {"token": "Bearer secret-1"},
        {"token": "sécret"},
        {"token": "secret\n1"},
        {"api_version": "v4"},
        {"api_version": "2026-9"},
        {"api_version": "2026-09/../x"},
        {"base_url": "api.hubapi.com"},
        {"base_url": "https://user:secret@api.hubapi.com"},
        {"contacts": "yes"},
        {"batch": 101},
        {"rate": 0},
        {"default_owner": "Ana"},
        {"fields": {"notes": "Not A Property"}},
        {"fields": {"notes": "cloudtalk_call_id"}},
        {"fields": {"no_such_field": "x"}},
        {"constants": {"cloudtalk_task_id": "1"}},
    ],
)
def test_what_cannot_work_is_refused_without_repeating_a_secret(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**said)
    assert "secret-1" not in str(refused.value)


@pytest.mark.parametrize("said", ["", None, "7001", " ana@example.test "])
def test_a_default_owner_is_an_id_or_an_address(said: str | None) -> None:
    assert settings(default_owner=said).default_owner == ((said or "").strip() or None)


def test_spaces_around_and_a_slash_at_the_end_do_no_harm() -> None:
    chosen = settings(token=" pat-eu1-2\n", base_url="https://api-eu1.hubapi.com/ ")
    assert chosen.token.get_secret_value() == "pat-eu1-2"
    assert chosen.base_url == "https://api-eu1.hubapi.com"
