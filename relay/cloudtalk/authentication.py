"""Authentication of a request: by a token, by a signature, or, if neither is set up, by its origin."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import groupby, islice
from operator import itemgetter
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from relay.cloudtalk.body_secrets import TOKEN_QUERY_KEY
from relay.cloudtalk.request import RequestHead
from relay.cloudtalk.signatures import SignatureVerifier
from relay.standards.addresses import is_loopback
from relay.standards.tokens import TokenList

_FORWARDING_HEADERS: Final = (
    *("forwarded", "x-forward", "x-original-", "x-rewrite-", "via", "cdn-", "max-forwards"),
    *("x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-proxyuser-ip", "x-remote-", "x-proxy-"),
    *("client-ip", "true-client-ip", "proxy-client-ip", "wl-proxy-", "remote-", "x-host", "x-originating-"),
    *("cf-", "fastly-", "x-fastly-", "fly-", "akamai-", "x-akamai-", "incap-", "x-sucuri-", "x-varnish"),
    *("x-envoy-", "x-amzn-", "x-amz-cf-", "cloudfront-", "x-azure-", "x-arr-", "x-appgw-"),
    *("x-cloud-trace-context", "x-appengine-", "do-connecting-ip", "x-vercel-", "x-nf-"),
    *("ngrok-", "tailscale-", "ali-", "x-kong-", "x-consumer-", "x-cdn-", "x-request-start", "x-queue-start"),
    *("x-scheme", "x-url-scheme", "front-end-https", "x-ssl-", "ssl-client-", "x-client-verify"),
)
"""The beginnings of headers that a proxy adds: the request comes from elsewhere, whatever its address is."""

_FORWARDING_BY_INITIAL: Final = {
    initial: tuple(beginnings) for initial, beginnings in groupby(sorted(_FORWARDING_HEADERS), itemgetter(0))
}
"""Few of them have to be compared with one header."""

_OLDEST_CLIENT: Final = "1.1"
"""The HTTP version of programs that send events. nginx sends 1.0, without any forwarding header and with its
own name for the relay as Host, unless it is configured otherwise."""

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d{0,5})?", re.ASCII)
"""A host and a port. A user name, a second host, or letters after a bracket belong to no valid Host."""

_MAX_TOKENS: Final = 8
"""A request with more tokens than this in its head, or in its body, is a guess."""

_MAX_QUERY_FIELDS: Final = 1_000

_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
"""Any web page can make a browser send these, and an old browser does not say which page it was."""

_SAME_PAGE: Final = ("same-origin", "none")
"""The values of Sec-Fetch-Site for a page of the relay itself, and for a URL that a person typed."""


class AuthProblem(StrEnum):
    """Why a request is not authenticated."""

    NO_TOKEN = "no_token"  # noqa: S105 - a code
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a code
    NO_SIGNATURE = "no_signature"
    WRONG_SIGNATURE = "wrong_signature"
    STALE_SIGNATURE = "stale_signature"
    FORWARDED = "forwarded"
    NOT_LOCAL = "not_local"
    FOREIGN_HOST = "foreign_host"
    BODY_TOO_LARGE = "body_too_large"
    CROSS_SITE = "cross_site"
    SAFE_METHOD = "safe_method"


class Proof(StrEnum):
    """The part of a request that authenticates it, or may do so."""

    HEAD = "head"
    SIGNATURE = "signature"
    BODY_TOKEN = "body_token"  # noqa: S105 - a code


class Authenticator:
    """Accepts a listed token or a valid signature; if neither tokens nor secrets are listed, it accepts
    requests from this machine alone. `body_tokens`: tokens may be inside the body.
    """

    def __init__(
        self, tokens: Iterable[str], signatures: SignatureVerifier, *, body_tokens: bool = False
    ) -> None:
        self._tokens = TokenList(tokens)
        self._signatures = signatures
        self._body_tokens = body_tokens

    def precheck(self, head: RequestHead) -> Proof | AuthProblem:
        """Return what may authenticate the request, or the problem if its body cannot.

        `Proof.HEAD` authenticates it already. The other proofs need the body.
        """
        if self._signatures.applies_to(head.headers):
            return Proof.SIGNATURE
        problem = self.check_tokens(head, [])
        if problem is None:
            return Proof.HEAD
        return Proof.BODY_TOKEN if self._tokens and self._body_tokens else problem

    def verify_signature(self, head: RequestHead, raw: bytes, *, now: int) -> AuthProblem | None:
        """Verify the bytes as received; `now` is in Unix seconds. Raises `StaleSignature`.

        A wrong signature is refused whatever token comes with it.
        """
        is_valid = self._signatures.verify(head.headers, raw, now=now)
        return None if is_valid else AuthProblem.WRONG_SIGNATURE

    def check_tokens(self, head: RequestHead, body_tokens: list[str]) -> AuthProblem | None:
        """Compare the tokens in the head and in the body; without any listed token, check the origin."""
        if not self._tokens:
            return AuthProblem.NO_SIGNATURE if self._signatures else check_local(head)
        in_head = _tokens_in_head(head.headers, head.query)
        tokens = [*islice(in_head, _MAX_TOKENS), *body_tokens[:_MAX_TOKENS]]
        if not tokens:
            return AuthProblem.NO_TOKEN
        return None if self._tokens.has_any(tokens) else AuthProblem.WRONG_TOKEN


def _tokens_in_head(headers: Mapping[str, str], query: str) -> Iterator[str]:
    yield from tokens_in_authorization(headers)
    if "x-webhook-token" in headers:
        yield headers["x-webhook-token"]
    yield from _tokens_in_query(query)


def tokens_in_authorization(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the token of `Authorization: Bearer`, or the password of `Authorization: Basic`."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            yield credentials.strip()
        case "basic":
            yield from _decode_basic_password(credentials)


def _tokens_in_query(query: str) -> Iterator[str]:
    if not query:
        return
    with suppress(ValueError):  # too many fields: the body's parser refuses them, too
        fields = parse_qsl(query, max_num_fields=_MAX_QUERY_FIELDS)
        yield from (value for key, value in fields if key == TOKEN_QUERY_KEY)


def _decode_basic_password(credentials: str) -> Iterator[str]:
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    yield decoded.partition(":")[2]


def check_local(head: RequestHead) -> AuthProblem | None:
    """Return the problem of an event that does not come from a program on this machine."""
    problem = _check_machine(head)
    if problem is None and _is_cross_site(head.headers):
        return AuthProblem.CROSS_SITE
    if problem is None and head.method in _SAFE_METHODS and _has_content(head):
        return AuthProblem.SAFE_METHOD
    return problem


def check_local_page(head: RequestHead) -> AuthProblem | None:
    """Return the problem of a request for a page that does not come from a program on this machine.

    A person may follow a link on any other page, such as that in an alert: a GET changes nothing here.
    """
    problem = _check_machine(head)
    if problem is None and _is_cross_site(head.headers) and not _follows_link(head):
        return AuthProblem.CROSS_SITE
    return problem


def _check_machine(head: RequestHead) -> AuthProblem | None:
    if head.http_version < _OLDEST_CLIENT:
        return AuthProblem.FORWARDED
    if any(name.startswith(_FORWARDING_BY_INITIAL.get(name[:1], ())) for name in head.headers):
        return AuthProblem.FORWARDED
    if head.client is not None and not is_loopback(head.client):
        return AuthProblem.NOT_LOCAL
    # A web page can make a browser call this machine under the page's own host name (DNS rebinding).
    # A request without Host violates HTTP/1.1 (RFC 9112, 3.2).
    if not is_loopback(_host_name(head.headers.get("host", ""))):
        return AuthProblem.FOREIGN_HOST
    return None


def _follows_link(head: RequestHead) -> bool:
    """Whether the request opens a page in a window, where the other page cannot read it."""
    mode, dest = head.headers.get("sec-fetch-mode"), head.headers.get("sec-fetch-dest")
    return head.method in _SAFE_METHODS and mode == "navigate" and dest == "document"


def _is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether the page of another server made a browser send the request; another port is another server.

    Newer browsers send Sec-Fetch-Site, all send Origin with a form, older ones at least Referer.
    """
    if headers.get("sec-fetch-site", "none").strip().lower() not in _SAME_PAGE:
        return True
    own = f"http://{headers.get('host', '')}".lower()
    if "origin" in headers:
        return headers["origin"].strip().lower() != own
    return "referer" in headers and _origin_of(headers["referer"]) != own


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url.strip().lower())
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def _has_content(head: RequestHead) -> bool:
    """Whether the request has a query or a body, and so may change something."""
    has_body = head.headers.get("content-length", "0") != "0" or "transfer-encoding" in head.headers
    return bool(head.query) or has_body


def _host_name(header: str) -> str:
    """Return the name or address in a Host header, empty if the header is malformed."""
    found = _HOST.fullmatch(header)
    return (found[1] or found[2]) if found else ""
