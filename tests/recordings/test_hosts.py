"""Which hosts a recording may be read from."""

import pytest

from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.hosts import AllowedHosts

HOSTS = AllowedHosts(
    ["my.cloudtalk.io", "10.0.0.5:9000", "localhost", "[::1]:8443"],
    "https://api.example.com/api",
    allow_private=False,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://my.cloudtalk.io/pub/r/x.wav",
        "https://MY.cloudtalk.io:8443/x.wav",
        "https://api.example.com/calls/recording/1.json",
        "http://10.0.0.5:9000/x.wav",
        "http://localhost:1234/x.wav",
        "https://[::1]:8443/x.wav",
    ],
)
def test_a_listed_host_is_allowed(url: str) -> None:
    HOSTS.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://my.cloudtalk.io/x.wav",
        "https://my.cloudtalk.io.example.com/x.wav",
        "https://my.cloudtalk.io@example.com/x.wav",
        "https://user@my.cloudtalk.io/x.wav",
        "https://example.com/my.cloudtalk.io",
        "https://api.example.com:8443/x.wav",
        "http://10.0.0.5/x.wav",
        "http://10.0.0.5:9001/x.wav",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://my.cloudtalk.io/x.wav",
        "https://",
        "https://[broken/x.wav",
        "https://my.cloudtalk.io:99999/",
        "",
    ],
)
def test_any_other_url_is_forbidden(url: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        HOSTS.check(url)
    assert caught.value.reason is Reason.FORBIDDEN_HOST


@pytest.mark.parametrize(
    ("host", "expected"),
    [("my.cloudtalk.io", False), ("10.0.0.5", True), ("localhost", True), ("::1", True), ("8.8.8.8", False)],
)
def test_only_an_address_or_localhost_may_be_private(host: str, *, expected: bool) -> None:
    assert HOSTS.may_be_private(host) is expected
    assert AllowedHosts([], "https://x", allow_private=True).may_be_private(host)
