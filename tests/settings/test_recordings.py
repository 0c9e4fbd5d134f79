"""The settings of recordings: links need a key and a URL, and folders are resolved."""

from pathlib import Path

import pytest

from relay.call import RecordingLinks
from relay.settings import replace_secrets
from tests.support.notebook import LoadError, LoadText

KEY = "key-of-the-links-0123456789"
PROXY = f"server.public_url = 'http://127.0.0.1:1'\n[recordings]\nproxy = true\nsigning_keys = ['{KEY}']\n"
DESTINATION = "[destinations.a]\nclient='notebook'\nurl='x://'\n"


def test_links_need_a_key_and_a_public_url(load_error: LoadError) -> None:
    message = load_error("[recordings]\nproxy = true")
    assert "recordings.signing_keys" in message
    assert "server.public_url" in message
    assert "openssl rand -hex 32" in message


def test_a_key_has_the_length_of_a_token(load_error: LoadError) -> None:
    assert "at least 16 characters" in load_error("[recordings]\nsigning_keys = ['fifteen-letters']")


def test_every_destination_gets_the_links(load_text: LoadText) -> None:
    settings = load_text(PROXY + "link_days = 2\n" + DESTINATION)
    links = RecordingLinks("http://127.0.0.1:1", (KEY.encode(),), 2)
    assert settings.recording_links == links
    assert settings.destinations["a"].recording_links == links


def test_without_proxy_records_have_the_links_of_cloudtalk(load_text: LoadText) -> None:
    settings = load_text(PROXY.replace("proxy = true", "proxy = false") + DESTINATION)
    assert settings.recording_links is None
    assert settings.destinations["a"].recording_links is None


def test_another_key_url_or_age_of_links_is_another_rendering(load_text: LoadText) -> None:
    written = [
        DESTINATION,
        PROXY + DESTINATION,
        PROXY + "link_days = 2\n" + DESTINATION,
        PROXY.replace(":1'", ":2'") + DESTINATION,
        PROXY.replace("['", "['another-key-of-links-012345', '") + DESTINATION,
    ]
    renderings = [load_text(toml).destinations["a"].rendering for toml in written]
    assert len(set(renderings)) == 5


def test_a_reload_replaces_keys_in_every_destination(load_text: LoadText) -> None:
    api = "[cloudtalk.api]\nkey_id = 'id'\nkey_secret = 'one'\n"
    before = load_text(PROXY + api + DESTINATION)
    loaded = load_text((PROXY + api + DESTINATION).replace("links-01", "links-99").replace("'one'", "'two'"))
    replaced, restart_needed = replace_secrets(before, loaded)
    assert restart_needed == []
    assert replaced.destinations["a"].recording_links == loaded.recording_links != before.recording_links
    assert before.destinations["a"].recording_links == before.recording_links
    assert replaced.cloudtalk.api.key_secret == loaded.cloudtalk.api.key_secret


def test_another_limit_of_the_api_needs_a_restart(load_text: LoadText) -> None:
    before, loaded = load_text(), load_text("cloudtalk.api.requests_per_minute = 30")
    assert replace_secrets(before, loaded)[1] == ["cloudtalk.api.requests_per_minute"]


def test_paths_are_resolved_and_urls_of_a_store_are_not(load_text: LoadText, tmp_path: Path) -> None:
    recordings = load_text("[recordings]\nkeep_url = 'kept'\ncache_path = 'cache'").recordings
    assert recordings.keep_url == str(tmp_path / "kept")
    assert recordings.cache_path == tmp_path / "cache"
    assert load_text("[recordings]\nkeep_url = 's3://bucket/a'").recordings.keep_url == "s3://bucket/a"


@pytest.mark.parametrize("url", ["", "s3://", "https://bucket.example", "file:///srv"])
def test_another_url_of_a_store_is_refused(load_error: LoadError, url: str) -> None:
    assert "s3://BUCKET" in load_error(f"[recordings]\nkeep_url = '{url}'")


def test_one_key_of_the_archive_is_a_list_of_one(load_text: LoadText, load_error: LoadError) -> None:
    for written in (f"'{KEY}'", f"['{KEY}']"):
        (key,) = load_text(f"[recordings]\nkeep_key = {written}").recordings.keep_key
        assert key.get_secret_value() == KEY
    assert "at least 16 characters" in load_error("[recordings]\nkeep_key = 'fifteen-letters'")


@pytest.mark.parametrize(
    ("host", "expected"), [("My.CloudTalk.io", "my.cloudtalk.io"), ("[::1]:8080", "[::1]:8080")]
)
def test_a_host_is_kept_in_lower_case(load_text: LoadText, host: str, expected: str) -> None:
    assert load_text(f"[recordings]\nallowed_hosts = ['{host}']").recordings.allowed_hosts == (expected,)


@pytest.mark.parametrize("host", ["https://my.cloudtalk.io", "my.cloudtalk.io/x", "a:0", "a:65536", "*", ""])
def test_a_host_is_no_url(load_error: LoadError, host: str) -> None:
    assert "recordings.allowed_hosts" in load_error(f"[recordings]\nallowed_hosts = ['{host}']")


def test_a_key_of_the_api_is_an_id_and_a_secret(load_text: LoadText, load_error: LoadError) -> None:
    assert "key_secret is missing" in load_error("cloudtalk.api.key_id = 'id'")
    assert "key_id is missing" in load_error("cloudtalk.api.key_secret = 's'")
    assert load_text("[cloudtalk.api]\nkey_id = ''\nkey_secret = ''").cloudtalk.api.key_secret is None


def test_the_secret_of_the_api_can_be_in_a_file(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    settings = load_text("[cloudtalk.api]\nkey_id = 'id'\nkey_secret_file = 'key'")
    assert settings.cloudtalk.api.key_secret is not None
    assert settings.cloudtalk.api.key_secret.get_secret_value() == "from-a-file"
    assert settings.origin.secret_files == (tmp_path / "key",)
    by_variable = load_text(
        "cloudtalk.api.key_id = 'id'", RELAY__CLOUDTALK__API__KEY_SECRET="from-a-variable"
    )
    assert by_variable.cloudtalk.api.key_secret is not None
    assert by_variable.cloudtalk.api.key_secret.get_secret_value() == "from-a-variable"
