"""The settings of a HubSpot destination: what is refused, and that errors repeat no secret."""

from typing import Any

import pytest
from pydantic import ValidationError

from crm_clients.hubspot.settings import HubSpotSettings


def settings(**values: Any) -> HubSpotSettings:
    return HubSpotSettings.model_validate({"client": "hubspot", "token": "pat-eu1-1", **values})


def test_the_defaults_are_as_documented() -> None:
    parsed = settings()
    assert (parsed.api_version, parsed.base_url) == ("2026-09", "https://api.hubapi.com")
    assert (parsed.contacts, parsed.batch, parsed.concurrency, parsed.rate) == ("match", 100, 4, None)
    assert parsed.follow_up_tasks
    assert parsed.owners_by_email


@pytest.mark.parametrize(
    "invalid",
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
        {"language": "tlh"},
        {"language": "ES"},
        {"batch": 101},
        {"rate": 0},
        {"default_owner": "Ana"},
        {"fields": {"notes": "Not A Property"}},
        {"fields": {"notes": "cloudtalk_call_id"}},
        {"fields": {"no_such_field": "x"}},
        {"constants": {"cloudtalk_task_id": "1"}},
        {"task_constants": {"cloudtalk_task_id": "1"}},
        {"task_constants": {"Not A Property": "1"}},
        {"contact_constants": {"Not A Property": "1"}},
        {"contact_constants": {"phone": "+34600111222"}},
        {"contact_constants": {"hs_marketable_status": "true"}},
    ],
)
def test_invalid_settings_are_refused_without_repeating_a_secret(invalid: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**invalid)
    assert "secret-1" not in str(refused.value)


@pytest.mark.parametrize("owner", ["", None, "7001", " ana@example.test "])
def test_a_default_owner_is_an_id_or_an_e_mail_address(owner: str | None) -> None:
    assert settings(default_owner=owner).default_owner == ((owner or "").strip() or None)


def test_surrounding_spaces_and_a_trailing_slash_are_removed() -> None:
    parsed = settings(token=" pat-eu1-2\n", base_url="https://api-eu1.hubapi.com/ ")
    assert parsed.token.get_secret_value() == "pat-eu1-2"
    assert parsed.base_url == "https://api-eu1.hubapi.com"
