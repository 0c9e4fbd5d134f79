import pytest
from pydantic import ValidationError

from crm_clients.supabase import SupabaseClient, SupabaseSettings
from tests.support.clients import make_context

VALID = {"client": "supabase", "url": "https://abc.supabase.co", "key": "sb_secret_1"}


@pytest.mark.parametrize(
    "invalid",
    [
        {"key": ""},
        {"key": "  "},
        {"key": "two words"},
        {"key": "señal"},
        {"url": "abc.supabase.co"},
        {"url": "ftp://abc.supabase.co"},
        {"url": "https://abc.supabase.co:99999"},
        {"url": "https://abc.supabase.co:port"},
        {"url": "https://[abc.supabase.co"},
        {"url": "https://xn--.supabase.co"},
        {"url": "https://@abc.supabase.co"},
        {"url": "https://supabase.com/dashboard/project/abc"},
        {"table": "calls; drop table calls"},
        {"schema": "a b"},
        {"layout": "rows"},
        {"kv_prefix": "tarea:"},
        {"kv_prefix": "cliente:"},
        {"kv_prefix": "cliente:llamada:"},
    ],
)
def test_an_invalid_setting_is_refused_and_the_key_is_not_shown(invalid: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        SupabaseSettings.model_validate(VALID | invalid)
    [error] = refused.value.errors()
    assert error["loc"] == tuple(invalid)
    assert invalid.get("key", "").strip() == "" or invalid["key"] not in str(refused.value)


@pytest.mark.parametrize("url", ["https://abc.supabase.co/", " https://abc.supabase.co/rest/v1/ "])
def test_a_url_is_trimmed_of_spaces_and_the_path_of_the_api(url: str) -> None:
    assert SupabaseSettings.model_validate(VALID | {"url": url}).url == VALID["url"]


def test_a_push_has_up_to_200_calls_by_default() -> None:
    assert SupabaseSettings.model_validate(VALID).batch == 200


def test_a_key_is_trimmed_and_not_shown() -> None:
    settings = SupabaseSettings.model_validate(VALID | {"key": " sb_secret_1\n"})
    assert settings.key.get_secret_value() == "sb_secret_1"
    assert "sb_secret_1" not in repr(settings)


async def test_the_setup_sql_creates_the_default_table() -> None:
    client = SupabaseClient("crm", SupabaseSettings.model_validate(VALID), make_context())
    assert 'create table if not exists "public"."calls"' in client.setup_text()
    await client.aclose()
