"""Which requests are authenticated."""

import base64
import hashlib
import hmac

import pytest

from relay.cloudtalk.authentication import Authenticator, AuthProblem, Proof
from relay.cloudtalk.request import RequestHead
from relay.cloudtalk.signatures import SignatureVerifier

HOST = {"host": "127.0.0.1:8080"}


def problem_of(
    headers: dict[str, str],
    query: str,
    client: str | None,
    tokens: tuple[str, ...] = (),
    in_body: tuple[str, ...] = (),
) -> str | None:
    authenticator = Authenticator(tokens, SignatureVerifier([]), body_tokens=True)
    head = RequestHead(headers, query, client)
    return problem_with(authenticator, head) or authenticator.check_tokens(head, list(in_body))


def problem_with(authenticator: Authenticator, head: RequestHead) -> AuthProblem | None:
    """The problem that refuses the request before its body is read."""
    found = authenticator.precheck(head)
    return found if isinstance(found, AuthProblem) else None


LISTED = ("old", "new")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer new"}, ""),
        ({"authorization": "bearer old"}, ""),
        ({"authorization": "BEARER  new "}, ""),
        ({"authorization": basic("anyone", "new")}, ""),
        ({"authorization": basic("anyone", "new").replace("Basic ", "BASIC  ") + " "}, ""),
        ({}, "a=&" * 999 + "token=new"),
        ({"authorization": basic("", "pass:new")}, "token=old"),
        ({"x-webhook-token": "old"}, ""),
        ({}, "event=x&token=new"),
    ],
)
def test_any_listed_token_authenticates_in_each_place(headers: dict[str, str], query: str) -> None:
    assert problem_of(headers, query, "10.1.2.3", LISTED) is None


@pytest.mark.parametrize(
    ("headers", "query", "problem"),
    [
        ({}, "", "no_token"),
        ({"authorization": "Bearer nope"}, "", "wrong_token"),
        ({"authorization": "Bearer "}, "", "wrong_token"),
        ({"authorization": "Bearer ñandú"}, "", "wrong_token"),
        ({"authorization": "Bearer \udcff"}, "", "wrong_token"),
        ({"authorization": "Basic !!!"}, "", "no_token"),
        ({"authorization": "Basic /w=="}, "", "no_token"),
        ({"authorization": "Digest new"}, "", "no_token"),
        ({"authorization": basic("new", "")}, "", "wrong_token"),
        ({}, "token=", "no_token"),
    ],
)
def test_other_tokens_do_not_authenticate(headers: dict[str, str], query: str, problem: str) -> None:
    assert problem_of(HOST | headers, query, "127.0.0.1", LISTED) == problem


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.9.9.9"])
def test_without_tokens_a_request_from_this_machine_is_accepted(host: str) -> None:
    assert problem_of({"host": host}, "", "127.0.0.1") is None


@pytest.mark.parametrize(
    ("headers", "client", "problem"),
    [
        (HOST, "192.0.2.1", "not_local"),
        ({"host": "relay.example.com"}, "127.0.0.1", "foreign_host"),
        ({"host": ""}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost:8080@evil.example"}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost.evil.example"}, "127.0.0.1", "foreign_host"),
        ({"host": "evil.example, localhost"}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost, localhost:8080"}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost:8080/evil"}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost:٣"}, "127.0.0.1", "foreign_host"),
        ({"host": "localhost#evil.example"}, "127.0.0.1", "foreign_host"),
        ({"host": "[::1]evil"}, "127.0.0.1", "foreign_host"),
        ({"host": "[::1]:80@evil.example"}, "127.0.0.1", "foreign_host"),
        ({"host": "[localhost]"}, "127.0.0.1", "foreign_host"),
        ({"host": "::1"}, "127.0.0.1", "foreign_host"),
        ({"host": "127.0.0.1.evil.example"}, "127.0.0.1", "foreign_host"),
        (HOST | {"forwarded": "for=192.0.2.1"}, "127.0.0.1", "forwarded"),
        (HOST | {"x-forwarded-for": "192.0.2.1"}, "127.0.0.1", "forwarded"),
        (HOST | {"cf-connecting-ip": "192.0.2.1"}, "127.0.0.1", "forwarded"),
    ],
)
def test_without_tokens_other_requests_are_refused(
    headers: dict[str, str], client: str, problem: str
) -> None:
    assert problem_of(headers, "", client) == problem


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"},
        {"sec-fetch-site": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "https://127.0.0.1:8080"},
        {"origin": "http://127.0.0.1:8080.evil.example"},
        {"origin": "http://localhost:8080"},
        {"origin": "", "sec-fetch-site": "same-origin"},
        {"origin": "file://", "content-type": "text/plain"},
        {"origin": "https://evil.example", "content-type": "application/x-www-form-urlencoded"},
        {"referer": "https://evil.example/page?x=http://127.0.0.1:8080/"},
        {"referer": "http://127.0.0.1:8080@evil.example/"},
        {"referer": "http://[evil"},
    ],
)
def test_without_tokens_a_request_of_another_web_page_is_refused(headers: dict[str, str]) -> None:
    assert problem_of(HOST | headers, "", "127.0.0.1") == "cross_site"
    assert problem_of(HOST | headers | {"x-webhook-token": "new"}, "", "127.0.0.1", LISTED) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8080"},
        {"origin": "HTTP://127.0.0.1:8080"},
        {"sec-fetch-site": " Same-Origin "},
        {"origin": " http://127.0.0.1:8080 "},
        {"referer": "http://127.0.0.1:8080/console"},
        {"referer": " HTTP://127.0.0.1:8080/console"},
        {"host": "LocalHost:8080", "origin": "http://localhost:8080"},
        {"host": "localhost:8080", "referer": "http://LocalHost:8080/console"},
    ],
)
def test_without_tokens_a_request_of_the_relays_own_page_is_accepted(headers: dict[str, str]) -> None:
    assert problem_of(HOST | headers, "", "127.0.0.1") is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_without_tokens_a_safe_method_changes_nothing(method: str) -> None:
    def problem(tokens: tuple[str, ...], query: str = "", **headers: str) -> str | None:
        head = RequestHead(HOST | headers, query, "127.0.0.1", method)
        return problem_with(Authenticator(tokens, SignatureVerifier([])), head)

    assert problem(()) is None
    assert problem((), **{"content-length": "0"}) is None
    assert problem((), "event=call.started&call_id=1") == "safe_method"
    assert problem((), **{"content-length": "17"}) == "safe_method"
    assert problem((), **{"transfer-encoding": "chunked"}) == "safe_method"
    assert problem(LISTED, "event=call.started&call_id=1&token=new") is None
    assert problem(LISTED, "event=call.started&call_id=1") == "no_token"


def test_without_tokens_another_method_may_have_a_query_and_a_body() -> None:
    assert problem_of(HOST | {"content-length": "17"}, "event=call.started", "127.0.0.1") is None
    assert problem_of(HOST | {"transfer-encoding": "chunked"}, "", "127.0.0.1") is None


@pytest.mark.parametrize("version", ["0.9", "1.0"])
@pytest.mark.parametrize("headers", [HOST, HOST | {"connection": "close"}, {}])
def test_without_tokens_an_old_http_version_counts_as_forwarded(
    headers: dict[str, str], version: str
) -> None:
    head = RequestHead(headers, "", "127.0.0.1", http_version=version)
    assert Authenticator([], SignatureVerifier([])).precheck(head) == "forwarded"


def test_a_token_authenticates_in_each_http_version() -> None:
    head = RequestHead({"authorization": "Bearer new"}, "", "127.0.0.1", http_version="1.0")
    assert Authenticator(LISTED, SignatureVerifier([])).precheck(head) is Proof.HEAD


@pytest.mark.parametrize(
    "header",
    [
        *("via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-ray", "cdn-loop"),
        *("fastly-client-ip", "fly-client-ip", "x-envoy-external-address", "x-amzn-trace-id", "x-forwarded"),
        *("x-original-forwarded-for", "x-azure-clientip", "x-appengine-user-ip", "x-forwarded-host"),
        *("do-connecting-ip", "x-arr-log-id", "cloudfront-viewer-address", "max-forwards"),
        *("forwarded", "x-forward-for", "x-original-url", "x-rewrite-url", "x-proxyuser-ip", "x-remote-addr"),
        *("x-proxy-id", "client-ip", "proxy-client-ip", "wl-proxy-client-ip", "remote-addr", "x-host"),
        *("x-originating-ip", "x-fastly-id", "akamai-origin-hop", "x-akamai-id", "incap-client-ip"),
        *("x-sucuri-clientip", "x-varnish", "x-amz-cf-id", "x-appgw-trace-id", "x-cloud-trace-context"),
        *("x-vercel-id", "x-nf-request-id", "ngrok-trace-id", "tailscale-user-login", "x-scheme"),
        *("x-url-scheme", "front-end-https", "ali-cdn-real-ip", "ali-swift-global-savetime", "x-cdn-src-ip"),
        *("x-kong-request-id", "x-kong-proxy-latency", "x-consumer-id", "x-request-start", "x-queue-start"),
        *("x-ssl-client-verify", "x-ssl-cipher", "ssl-client-verify", "x-client-verify"),
    ],
)
def test_a_header_of_a_proxy_shows_that_the_request_comes_from_elsewhere(header: str) -> None:
    assert problem_of(HOST | {header: "192.0.2.1"}, "", "127.0.0.1") == "forwarded"


@pytest.mark.parametrize("header", ["accept", "user-agent", "x-request-id", "traceparent", "content-type"])
def test_a_header_of_a_program_on_this_machine_is_no_proxys(header: str) -> None:
    assert problem_of(HOST | {header: "x"}, "", "127.0.0.1") is None


def test_a_token_in_the_body_authenticates_like_one_in_a_header() -> None:
    assert problem_of({}, "", "10.1.2.3", LISTED, in_body=("new",)) is None
    assert problem_of({}, "", "10.1.2.3", LISTED, in_body=("guess",)) == "wrong_token"


def test_without_tokens_in_bodies_a_request_is_refused_before_its_body_is_read() -> None:
    authenticator = Authenticator(LISTED, SignatureVerifier([]), body_tokens=False)
    assert authenticator.precheck(RequestHead({}, "", "10.1.2.3")) == "no_token"


def test_without_tokens_a_request_without_a_host_is_refused() -> None:
    assert problem_of({}, "", "127.0.0.1") == "foreign_host"
    assert problem_of({}, "", None) == "foreign_host"
    assert problem_of({}, "", "192.0.2.1") == "not_local"
    assert problem_of({"authorization": "Bearer new"}, "", "192.0.2.1", LISTED) is None


def test_a_request_without_an_address_comes_through_a_socket_of_this_machine() -> None:
    assert problem_of(HOST, "", None) is None
    assert problem_of({"host": "relay.example.com"}, "", None) == "foreign_host"


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("headers", "tokens", "body_tokens", "proof"),
    [
        ({"authorization": "Bearer new"}, LISTED, True, "head"),
        ({"authorization": "Bearer guess"}, LISTED, True, "body_token"),
        ({"authorization": "Bearer guess"}, LISTED, False, "wrong_token"),
        ({}, LISTED, True, "body_token"),
        ({"svix-signature": "v1,AA"}, LISTED, True, "signature"),
        ({"authorization": "Bearer new", "x-cloudtalk-signature": ""}, LISTED, False, "signature"),
        ({"authorization": "Bearer new"}, (), True, "no_signature"),
    ],
)
def test_the_head_shows_what_may_authenticate_a_request(
    headers: dict[str, str], tokens: tuple[str, ...], body_tokens: bool, proof: str
) -> None:
    authenticator = Authenticator(tokens, SignatureVerifier([SECRET]), body_tokens=body_tokens)
    assert authenticator.precheck(RequestHead(headers, "", "10.1.2.3")) == proof


def test_only_a_valid_signature_authenticates() -> None:
    authenticator = Authenticator(LISTED, SignatureVerifier([SECRET]))
    digest = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    signed = RequestHead({"x-cloudtalk-signature": digest}, "", "10.1.2.3")
    assert authenticator.verify_signature(signed, b"{}", now=0) is None
    assert authenticator.verify_signature(signed, b"[]", now=0) == "wrong_signature"
    headers = {"authorization": "Bearer new", "x-cloudtalk-signature": digest[:-1] + "g"}
    wrong = RequestHead(headers, "", "10.1.2.3")
    assert authenticator.verify_signature(wrong, b"{}", now=0) == "wrong_signature"


def test_only_a_few_tokens_of_a_request_are_compared() -> None:
    guesses = [f"guess-{n}" for n in range(7)]
    assert problem_of({}, "", "10.1.2.3", LISTED, in_body=(*guesses, "new")) is None
    assert problem_of({}, "", "10.1.2.3", LISTED, in_body=(*guesses, "guess", "new")) == "wrong_token"
    query = "&".join(f"token={guess}" for guess in guesses)
    assert problem_of({}, query + "&token=new", "10.1.2.3", LISTED) is None
    assert problem_of({}, query + "&token=guess&token=new", "10.1.2.3", LISTED) == "wrong_token"
    assert problem_of({}, "a=&" * 1_000 + "token=new", "10.1.2.3", LISTED) == "no_token"
