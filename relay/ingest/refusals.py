"""What the sender hears of a request that is not accepted, and whether it hears of the refusal at all."""

from http import HTTPStatus
from typing import Final

from relay.cloudtalk.authentication import AuthProblem
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.request import RawRequest
from relay.ingest.body import METHODS
from relay.ingest.responses import Response, json_response, problem_response
from relay.logs import get_logger
from relay.measurements import REQUESTS_REFUSED

log = get_logger("relay.ingest")

ACCEPTED: Final = "Webhook procesado correctamente"
"""Customers' automations look for this text: it is the response of the system that the relay replaces."""

_RETRY_AFTER: Final = (("Retry-After", "5"),)
_CLOSE: Final = (("Connection", "close"),)
_ALLOW: Final = (("Allow", ", ".join(METHODS)),)
_AUTHENTICATE: Final = (("WWW-Authenticate", 'Bearer realm="cloudtalk"'),)

_NO_TOKENS: Final = (
    "without cloudtalk.tokens in the settings the relay accepts requests from its machine only"
)
_AUTH_DETAILS: Final = {
    AuthProblem.NO_TOKEN: "a token is missing: Authorization: Bearer, the Basic password, X-Webhook-Token or "
    "?token=",
    AuthProblem.WRONG_TOKEN: "the token is none of cloudtalk.tokens in the relay's settings",
    AuthProblem.NO_SIGNATURE: "a signature is missing (svix-id, svix-timestamp, svix-signature)",
    AuthProblem.WRONG_SIGNATURE: "the signature does not match any of cloudtalk.signing_secrets in the "
    "relay's settings",
    AuthProblem.STALE_SIGNATURE: "the signature's time is off by more than 300 s: one of the two clocks is "
    "wrong",
    AuthProblem.FORWARDED: f"{_NO_TOKENS}, and this request came through a proxy (it has a forwarding "
    "header, or it is HTTP/1.0); set cloudtalk.tokens, and send the token with each event",
    AuthProblem.NOT_LOCAL: _NO_TOKENS,
    AuthProblem.FOREIGN_HOST: f"{_NO_TOKENS}, and this request names another host, or none",
    AuthProblem.BODY_TOO_LARGE: "a token inside the body counts only in a body of at most 64 KiB and 2000 "
    "values; send the token in a header or as ?token=",
    AuthProblem.CROSS_SITE: f"{_NO_TOKENS}, and a web page of another server sent this request",
    AuthProblem.SAFE_METHOD: f"{_NO_TOKENS}, and only by POST, PUT or PATCH: any web page can make a browser "
    "send a GET; set cloudtalk.tokens, and add ?token=",
}


def should_refuse(request: RawRequest, error: InvalidPayload) -> bool:
    """Whether the sender of an invalid body gets an error; if not, a 2xx, since an error would harm it.

    The sender of signed messages disables an endpoint that refuses them. A call flow branches on the response
    while the caller waits. Both are recognised by the request, or by the dialect of the body.
    """
    return not (request.message_id is not None or request.is_from_call_flow or error.always_ack)


def refuse_payload(request: RawRequest, error: InvalidPayload, *, quarantine_id: int | None) -> Response:
    """Log the invalid body, and build the response."""
    REQUESTS_REFUSED.add((error.reason,))
    log.warning(
        "ingest.refused",
        status=error.status,
        reason=error.reason,
        pointer=error.pointer,
        quarantine_id=quarantine_id,
    )
    if not should_refuse(request, error):
        return json_response(
            {"success": True, "message": ACCEPTED, "quarantined": True, "quarantine_id": quarantine_id}
        )
    return problem_response(
        error.status,
        error.message,
        reason=error.reason,
        pointer=error.pointer if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else None,
        quarantine_id=quarantine_id,
        headers=_ALLOW if error.status == HTTPStatus.METHOD_NOT_ALLOWED else (),
    )


def refuse_unauthenticated(problem: AuthProblem, *, throttled_seconds: int | None) -> Response:
    """Build the response to a request that is not authenticated: 429 if its address is throttled."""
    REQUESTS_REFUSED.add((problem,))
    detail = _AUTH_DETAILS[problem]
    if throttled_seconds is None:
        return problem_response(401, detail, reason="unauthorised", headers=_AUTHENTICATE)
    message = f"too many requests from this address were not authenticated; {detail}"
    retry_after = (("Retry-After", str(throttled_seconds)),)
    return problem_response(429, message, reason="throttled", headers=retry_after)


def refuse_slow(error: InvalidPayload) -> Response:
    """Build the response to a request that was too slow to be authenticated."""
    REQUESTS_REFUSED.add((error.reason,))
    return problem_response(error.status, error.message, reason=error.reason, headers=_CLOSE)


def refuse_evicted(detail: str) -> Response:
    """Build the response to a request without authentication that made room for another one."""
    REQUESTS_REFUSED.add(("evicted",))
    return problem_response(503, detail, reason="overloaded", headers=_RETRY_AFTER + _CLOSE)


def refuse_unavailable(reason: str, detail: str) -> Response:
    """Log why the relay cannot accept any event now, and build the response."""
    log_unavailable(reason, detail)
    return build_unavailable(reason)


def log_unavailable(reason: str, detail: str) -> None:
    REQUESTS_REFUSED.add((reason,))
    log.error("ingest.unavailable", reason=reason, error=detail)


def build_unavailable(reason: str) -> Response:
    message = "the relay cannot accept this event now; send it again"
    return problem_response(503, message, reason=reason, headers=_RETRY_AFTER)
