"""HubSpot's error responses, and the outcome that each becomes. Pure.

ApiFailure                         a request without a usable response
├── ApiError                       HubSpot answered with an error; `to_outcome` makes of it:
│   ├── Unauthorised                 401
│   ├── Throttled                    429
│   ├── Retry                        408, 409, 423, 425, 477, 5xx
│   ├── Misconfigured                402 to 405, 3xx, a missing property or scope
│   │                                (`as_refusal`: a contact, link or task with another 403 is Rejected)
│   └── Rejected, or Split           any other; Split if the request had several records
└── Outcome                        no response: Retry, Throttled or Unknown, from `crm_clients.http`;
                                   a successful response that answers nothing: Retry, from `responses`

The category of an error counts before its status: the errors of single records have no status. A category
that means the same as a status has this status in the table below.

Sources: HubSpot's guides "Error handling" and "Usage guidelines"; the schemas `Error` and `StandardError`
of its API description. Every field may be missing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import msgspec

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised

FORBIDDEN: Final = "forbidden"
"""The code of a 403 for another reason than a scope, as a limit of the account."""

MISSING_SCOPE: Final = "missing_scope"
MISSING_PROPERTY: Final = "missing_property"

_MAX_MESSAGE_LENGTH: Final = 500
_MIN_LOCK_SECONDS: Final = 2.0
"""HubSpot: wait at least two seconds after a 423. A 409 also comes from a write that is still running."""

_ACCOUNT_MIGRATION: Final = 477
"""HubSpot: the account is being moved to another data centre."""

_TEMPORARY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, _ACCOUNT_MIGRATION})
_LOCKED: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.LOCKED})

_STATUS_BY_CATEGORY: Final[Mapping[str, int]] = {
    **{
        status.name: status
        for status in HTTPStatus
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status in _TEMPORARY | _LOCKED | {HTTPStatus.TOO_MANY_REQUESTS}
    },
    "EXPIRED_AUTHENTICATION": HTTPStatus.UNAUTHORIZED,
    "INVALID_AUTHENTICATION": HTTPStatus.UNAUTHORIZED,
    "MISSING_SCOPES": HTTPStatus.FORBIDDEN,
    "TIMEOUT": HTTPStatus.REQUEST_TIMEOUT,
    "RATE_LIMITS": HTTPStatus.TOO_MANY_REQUESTS,
    "MIGRATION": _ACCOUNT_MIGRATION,
    "INTERNAL_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What HubSpot writes as a category for a temporary error, or one of the credentials: the names of HTTP
statuses, and names of its own."""
_SETUP: Final = frozenset(
    {
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    }
)

_SECONDS_BY_POLICY: Final = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0}
_SHARED_POLICIES: Final = frozenset({"DAILY", "TEN_SECONDLY_ROLLING"})
"""Limits that searches and writes share: a search that exceeds one pauses the whole destination."""

_MISSING_PROPERTY_TEXT: Final = re.compile(
    r"PROPERTY_DOESNT_EXIST|by non-unique|\bpropert(?:y|ies)\W+\w+\W+(?:does not|doesn't|do not) exist",
    re.IGNORECASE,
)
"""HubSpot's texts for a property that is missing, or an `idProperty` that is not unique. An owner or an
option that does not exist has similar texts, and is the fault of a record."""


class ApiError(msgspec.Struct, frozen=True):
    """An error response, or the error of one record of a batch.

    `status`: that of the category, if the category has one. `context_ids`: all values of the contexts: trace
    ids, record ids, names of scopes or properties.
    `policy`: the name of the exceeded limit. `after`: the wait in seconds that HubSpot asked for.
    """

    status: int
    category: str | None = None
    message: str | None = None
    details: str = ""
    context_ids: frozenset[str] = frozenset()
    policy: str | None = None
    after: float | None = None

    @property
    def is_missing_property(self) -> bool:
        """Whether the account lacks a property that the settings or `setup` name; no record is at fault."""
        return bool(_MISSING_PROPERTY_TEXT.search(f"{self.category} {self.message} {self.details}"))

    @property
    def missing_scopes(self) -> str:
        """The scopes that the key lacks, separated by commas. HubSpot names them in the contexts of a 403."""
        if self.category != "MISSING_SCOPES":
            return ""
        return ", ".join(sorted(id_ for id_ in self.context_ids if "." in id_))


ApiFailure = ApiError | Outcome


def parse_error(status: int, body: Mapping[str, Any], *, after: float | None = None) -> ApiError:
    """Parse the body of an error response, or one entry of a batch's `errors`."""
    category = _text(body.get("category"))
    details = list(_detail_objects(body))
    texts = [_text(detail.get(name)) for detail in details for name in ("message", "code")]
    return ApiError(
        status=_STATUS_BY_CATEGORY.get((category or "").upper(), status),
        category=category,
        message=_text(body.get("message")),
        details=" ".join(text for text in texts if text),
        context_ids=frozenset(
            value for each in (body, *details) for value in _context_values(each.get("context"))
        ),
        policy=_text(body.get("policyName")),
        after=after,
    )


def names_record(failure: ApiFailure, id_: str) -> bool:
    """Whether HubSpot blames the record with this trace id, record id or unique property."""
    return isinstance(failure, ApiError) and id_ in failure.context_ids


def to_outcome(error: ApiError, *, records: int, now: datetime, rate_limit: str | None = None) -> Outcome:
    """Return the outcome of each of the `records` records that one request held.

    `now`: in the time zone of the account. `rate_limit`: the limit that a 429 uses up, if it is the only one.
    """
    code, message = error_code(error), describe(error)
    if error.status == HTTPStatus.UNAUTHORIZED:
        return Unauthorised(code=code, message=message)
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        single = None if error.policy in _SHARED_POLICIES else rate_limit
        return Throttled(code=code, message=message, after=_throttled_seconds(error, now), rate_limit=single)
    if error.status in _LOCKED:
        return Retry(code=code, message=message, after=max(error.after or 0.0, _MIN_LOCK_SECONDS))
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _TEMPORARY:
        return Retry(code=code, message=message, after=error.after)
    if _is_misconfiguration(error):
        return Misconfigured(code=code, message=message)
    return (Split if records > 1 else Rejected)(code=code, message=message)


def as_call_failure(outcome: Outcome) -> Outcome:
    """Return Rejected in place of Misconfigured, where the fault concerns one call and not the account."""
    if isinstance(outcome, Misconfigured):
        return Rejected(code=outcome.code, message=outcome.message)
    return outcome


def as_refusal(outcome: Outcome, *, records: int) -> Outcome:
    """Return Rejected, or Split, in place of Misconfigured, if HubSpot forbids a contact, a link or a task.

    The calls can be written without them. A call that HubSpot forbids pauses the destination: the reason (a
    limit, a suspended account) applies to every call, and none becomes a dead letter.
    """
    if outcome.code == FORBIDDEN:
        return (Split if records > 1 else Rejected)(code=outcome.code, message=outcome.message)
    return outcome


def as_destination_failure(outcome: Outcome) -> Outcome:
    """Return Misconfigured in place of Rejected, where the rejected request concerns no single call."""
    if isinstance(outcome, Rejected):
        return Misconfigured(code=outcome.code, message=outcome.message)
    return outcome


def error_code(error: ApiError) -> str:
    """Return the relay's own code, else HubSpot's, else the status as "http_502"."""
    if error.category == "MISSING_SCOPES":
        return MISSING_SCOPE
    if error.status == HTTPStatus.FORBIDDEN:
        return FORBIDDEN
    if error.is_missing_property:
        return MISSING_PROPERTY
    return error.policy or error.category or f"http_{error.status}"


def describe(error: ApiError) -> str:
    """Describe the error for a person, in one line."""
    line = f"HubSpot answered {error.status}: {error.message or 'no explanation was given'}"
    if error.missing_scopes:
        line = f"The service key lacks the scope {error.missing_scopes}. {line}"
    return (f"{line} ({error.details})" if error.details else line)[:_MAX_MESSAGE_LENGTH]


def _is_misconfiguration(error: ApiError) -> bool:
    """A redirect means that `base_url` is not the address of the API."""
    return error.is_missing_property or error.status in _SETUP or error.status < HTTPStatus.BAD_REQUEST


def _throttled_seconds(error: ApiError, now: datetime) -> float | None:
    if error.after is not None:
        return error.after
    if error.policy == "DAILY":
        return _seconds_to_midnight(now)
    return _SECONDS_BY_POLICY.get(error.policy or "")


def _seconds_to_midnight(now: datetime) -> float:
    """HubSpot resets the daily limit at midnight in the account's time zone; `now` is in that zone."""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - now.timestamp()


def _detail_objects(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    errors = body.get("errors")
    yield from (each for each in errors if isinstance(each, dict)) if isinstance(errors, list) else ()


def _context_values(context: object) -> Iterator[str]:
    """HubSpot's contexts map a name to a list of texts, sometimes to a single text."""
    for value in context.values() if isinstance(context, dict) else ():
        yield from (str(each) for each in (value if isinstance(value, list) else [value]))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
