"""Sessions of the console."""

import pytest

from relay.console import sessions
from relay.console.sessions import Limits

TOKEN, OTHER = "token-of-the-console", "another-token-of-it"
NOW = 1_795_747_083
LIMITS = Limits(idle=600, total=3600)


def test_a_session_is_read_from_its_cookie() -> None:
    session = sessions.begin(NOW, TOKEN)
    assert session.is_signed_in
    assert sessions.read(session.cookie, [OTHER, TOKEN], LIMITS, NOW + 1) == session


def test_the_session_of_a_visitor_is_not_signed_in() -> None:
    visitor = sessions.begin(NOW)
    found = sessions.read(visitor.cookie, [TOKEN], LIMITS, NOW)
    assert found == visitor
    assert not visitor.is_signed_in


def test_a_session_ends_when_its_token_is_removed() -> None:
    assert sessions.read(sessions.begin(NOW, TOKEN).cookie, [OTHER], LIMITS, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "is_valid"),
    [(600, True), (601, False), (3600, False)],
    ids=["idle", "too idle", "much later"],
)
def test_an_idle_session_expires(seconds: int, is_valid: bool) -> None:
    cookie = sessions.begin(NOW, TOKEN).cookie
    assert (sessions.read(cookie, [TOKEN], LIMITS, NOW + seconds) is not None) is is_valid


def test_a_session_in_use_expires_in_the_end() -> None:
    session = sessions.begin(NOW, TOKEN).seen(NOW + 3599)
    assert sessions.read(session.cookie, [TOKEN], LIMITS, NOW + 3600) == session
    assert sessions.read(session.cookie, [TOKEN], LIMITS, NOW + 3601) is None


def test_the_cookie_is_sent_again_once_a_minute() -> None:
    session = sessions.begin(NOW, TOKEN)
    assert not session.needs_renewal(NOW + 59)
    assert session.needs_renewal(NOW + 60)
    assert not session.seen(NOW + 60).needs_renewal(NOW + 60)


@pytest.mark.parametrize("position", [0, 35, 45, -1], ids=["id", "began_at", "seen_at", "signature"])
def test_a_changed_cookie_is_no_session(position: int) -> None:
    characters = list(sessions.begin(NOW, TOKEN).cookie)
    characters[position] = "1" if characters[position] != "1" else "2"
    assert sessions.read("".join(characters), [TOKEN], LIMITS, NOW) is None


@pytest.mark.parametrize("cookie", ["", "a.b.c.d", "é" * 32 + ".1.1." + "0" * 64, "0" * 200])
def test_what_is_no_cookie_is_no_session(cookie: str) -> None:
    assert sessions.read(cookie, [TOKEN], LIMITS, NOW) is None


def test_a_visitor_cannot_forge_the_cookie_of_a_person() -> None:
    session = sessions.begin(NOW, TOKEN)
    visitor = sessions.Session(session.id, "", NOW, NOW)
    found = sessions.read(visitor.cookie, [TOKEN], LIMITS, NOW)
    assert found is not None
    assert not found.is_signed_in


def test_each_session_has_its_own_token_for_forms() -> None:
    first, second = sessions.begin(NOW, TOKEN), sessions.begin(NOW, TOKEN)
    assert first.has_csrf_token(first.csrf_token)
    for wrong in (second.csrf_token, "", "é", first.csrf_token[:-1], sessions.begin(NOW).csrf_token):
        assert not first.has_csrf_token(wrong)


def test_the_name_in_the_log_is_not_the_whole_id() -> None:
    session = sessions.begin(NOW, TOKEN)
    assert len(session.name) == 8
    assert session.id.startswith(session.name)


@pytest.mark.parametrize(("given", "found"), [(TOKEN, TOKEN), (TOKEN[:-1], None), ("", None), ("é", None)])
def test_a_token_must_be_listed(given: str, found: str | None) -> None:
    assert sessions.find_token(given, [OTHER, TOKEN]) == found
