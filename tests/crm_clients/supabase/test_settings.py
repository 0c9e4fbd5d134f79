import pytest
from pydantic import ValidationError

from crm_clients.supabase import SupabaseClient, SupabaseSettings
from tests.support.clients import context_of

GOOD = {"client": "supabase", "url": "https://abc.supabase.co", "key": "sb_secret_1"}


@pytest.mark.parametrize(
    "wrong",
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
def test_a_setting_that_cannot_work_is_refused_without_showing_the_key(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        SupabaseSettings.model_validate(GOOD | wrong)
    [error] = refused.value.errors()
    assert error["loc"] == tuple(wrong)
    assert wrong.get("key", "").strip() == "" or wrong["key"] not in str(refused.value)


@pytest.mark.parametrize("url", ["https://abc.supabase.co/", " https://abc.supabase.co/rest/v1/ "])
def test_an_address_may_be_pasted_as_it_comes(url: str) -> None:
    assert SupabaseSettings.model_validate(GOOD | {"url": url}).url == GOOD["url"]


def test_a_key_is_never_shown() -> None:
    settings = SupabaseSettings.model_validate(GOOD | {"key": " sb_secret_1\n"})
    assert settings.key.get_secret_value() == "sb_secret_1"
    assert "sb_secret_1" not in repr(settings)


async def test_setup_of_a_hosted_project_links_to_its_own_editor() -> None:
    client = SupabaseClient("crm", SupabaseSettings.model_validate(GOOD), context_of())
    assert 'create table if not exists "public"."calls"' in client.setup_text()
    await client.aclose()
