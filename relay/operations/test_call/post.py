"""Sends an event to the public URL, and explains a response that is no acknowledgement."""

import ssl
from typing import Any, Final

import httpx
import msgspec

from relay.logs import remove_secrets
from relay.operations.languages import Text
from relay.operations.test_call import texts
from relay.operations.test_call.requests import EventRequest

_TIMEOUT_SECONDS: Final = 15.0
_MAX_QUOTED: Final = 200
"""Characters of a response that a message quotes."""

_PROBLEMS: Final = {
    401: texts.REFUSED,
    403: texts.FORBIDDEN,
    404: texts.NOT_FOUND,
    405: texts.NOT_FOUND,
    429: texts.BUSY,
    502: texts.NO_UPSTREAM,
    503: texts.BUSY,
    504: texts.NO_UPSTREAM,
}
"""What the statuses mean that a relay or a proxy in front of it responds with."""


class Failure(msgspec.Struct, frozen=True):
    """Why an event was not accepted. `may_be_stored`: whether a relay may have it all the same."""

    code: str
    text: Text
    hint: Text
    may_be_stored: bool = False


class _Acknowledgement(msgspec.Struct):
    """The part of the relay's response that names the event's call."""

    id: str


async def post(request: EventRequest, record_id: str) -> Failure | None:
    """Post an event as CloudTalk does. Return None if a relay acknowledged it as an event of this record."""
    # No proxy of the environment: the request would not come through the public URL as CloudTalk's does.
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            response = await client.post(request.url, headers=request.headers, content=request.content)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        return _explain_error(request.url, error)
    return _explain_response(request.url, response, record_id)


def _explain_error(url: str, error: Exception) -> Failure:
    answer = remove_secrets(str(error) or type(error).__name__)
    problem = texts.TIMED_OUT if isinstance(error, httpx.ReadTimeout) else texts.UNREACHABLE
    if "CERTIFICATE" in answer.upper():
        problem = texts.CERTIFICATE
    return Failure(
        problem.code,
        problem.text.fill(url=url, answer=answer),
        problem.hint,
        may_be_stored=not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout),
    )


def _explain_response(url: str, response: httpx.Response, record_id: str) -> Failure | None:
    if response.status_code == httpx.codes.OK and _decode_id(response.content) == record_id:
        return None
    default = texts.FOREIGN if response.is_success else texts.STATUS
    problem = texts.REDIRECT if response.is_redirect else _PROBLEMS.get(response.status_code, default)
    return Failure(
        problem.code,
        problem.text.fill(url=url, status=response.status_code, answer=_quote(response)),
        problem.hint,
        may_be_stored=response.is_success,
    )


def _decode_id(content: bytes) -> str | None:
    try:
        return msgspec.json.decode(content, type=_Acknowledgement).id
    except msgspec.DecodeError:
        return None


def _quote(response: httpx.Response) -> str:
    """Return the reason in the response: the `detail` of a problem document, or the beginning of the text."""
    if location := response.headers.get("location"):
        return remove_secrets(location[:_MAX_QUOTED])
    try:
        document: Any = msgspec.json.decode(response.content)
        text = str(document["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        text = " ".join(response.text.split())
    return remove_secrets(text[:_MAX_QUOTED]) or response.reason_phrase
