"""What an answer of HubSpot means. Pure: the category decides first, then the status.

Sources: HubSpot's guide "Error handling" and its usage guidelines; the shapes of its API description
(`Error`, `StandardError`), all of whose fields may be missing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised

MISSING_SCOPE: Final = "missing_scope"
MISSING_PROPERTY: Final = "missing_property"

_LONGEST_MESSAGE: Final = 500
_LOCKED_SECONDS: Final = 2.0
"""HubSpot: after a 423, wait two seconds at least; a conflict too comes from a write under way."""

_POLICY_SECONDS: Final = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0}
_POLICIES_OF_ALL: Final = frozenset({"DAILY", "TEN_SECONDLY_ROLLING"})
"""What stops a search for these stops everything."""

_UNKNOWN_PROPERTY: Final = re.compile(
    r"PROPERTY_DOESNT_EXIST|by non-unique|\bpropert(?:y|ies)\W+\w+\W+(?:does not|doesn't|do not) exist",
    re.IGNORECASE,
)
"""What HubSpot's texts say where a property is missing, or `idProperty` is not unique. An owner or an
option that does not exist is a record's fault."""

_SERVER_ERROR: Final = 500


class ApiError(msgspec.Struct, frozen=True):
    """An answer other than success, or one failed record of a batch.

    `ids` are all texts that its contexts name: trace ids, record ids, property names. `after`:
    seconds that HubSpot asked for.
    """

    status: int
    category: str | None = None
    message: str | None = None
    details: str = ""
    ids: frozenset[str] = frozenset()
    policy: str | None = None
    after: float | None = None

    @property
    def is_missing_property(self) -> bool:
        """Whether the account lacks what the settings or the set-up name; no record is at fault."""
        return bool(_UNKNOWN_PROPERTY.search(f"{self.category} {self.message} {self.details}"))


def parse_error(status: int, said: Mapping[str, Any], *, after: float | None = None) -> ApiError:
    """The fault that a body, or an entry of a batch's `errors`, tells."""
    details = list(_details(said))
    return ApiError(
        status=status,
        category=_text(said.get("category")),
        message=_text(said.get("message")),
        details=" ".join(
            text for d in details for text in (_text(d.get("message")), _text(d.get("code"))) if text
        ),
        ids=frozenset(text for each in (said, *details) for text in _texts(each.get("context"))),
        policy=_text(said.get("policyName")),
        after=after,
    )


def outcome_of(fault: ApiError, *, records: int, zone: ZoneInfo, rate_limit: str | None = None) -> Outcome:
    """What a request about so many records came to. `rate_limit`: the one that a 429 spends alone."""
    code, message = code_of(fault), describe(fault)
    if fault.status == 401 or fault.category == "INVALID_AUTHENTICATION":  # noqa: PLR2004 - Unauthorized
        return Unauthorised(code=code, message=message)
    if fault.status == 429 or fault.category == "RATE_LIMITS":  # noqa: PLR2004 - Too Many Requests
        alone = None if fault.policy in _POLICIES_OF_ALL else rate_limit
        return Throttled(code=code, message=message, after=_wait(fault, zone), rate_limit=alone)
    if fault.status in {409, 423} or fault.category == "CONFLICT":
        return Retry(code=code, message=message, after=max(fault.after or 0.0, _LOCKED_SECONDS))
    if _is_passing(fault):
        return Retry(code=code, message=message, after=fault.after)
    if _is_setup(fault):
        return Misconfigured(code=code, message=message)
    return (Split if records > 1 else Rejected)(code=code, message=message)


def code_of(fault: ApiError) -> str:
    """The contract's word for it, else HubSpot's, else the status as a word."""
    if fault.status == 403 or fault.category == "MISSING_SCOPES":  # noqa: PLR2004 - Forbidden
        return MISSING_SCOPE
    if fault.is_missing_property:
        return MISSING_PROPERTY
    return fault.policy or fault.category or f"http_{fault.status}"


def describe(fault: ApiError) -> str:
    """The fault in one line for a person."""
    said = fault.message or "no explanation was given"
    line = f"HubSpot answered {fault.status}: {said}"
    return (f"{line} ({fault.details})" if fault.details else line)[:_LONGEST_MESSAGE]


def _is_passing(fault: ApiError) -> bool:
    """477 is HubSpot moving the account to another place."""
    return (
        fault.status >= _SERVER_ERROR or fault.status in {408, 425, 477} or fault.category == "INTERNAL_ERROR"
    )


def _is_setup(fault: ApiError) -> bool:
    return (
        fault.is_missing_property
        or fault.category == "MISSING_SCOPES"
        or fault.status in {402, 403, 404, 405}
        or fault.status < 400  # noqa: PLR2004 - a redirect: the address is not the API's
    )


def _wait(fault: ApiError, zone: ZoneInfo) -> float | None:
    if fault.after is not None:
        return fault.after
    return seconds_to_midnight(zone) if fault.policy == "DAILY" else _POLICY_SECONDS.get(fault.policy or "")


def seconds_to_midnight(zone: ZoneInfo) -> float:
    """HubSpot's daily limit begins anew at midnight of the account, whose zone the team's stands for."""
    now = datetime.now(zone)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - now.timestamp()


def _details(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    errors = said.get("errors")
    yield from (each for each in errors if isinstance(each, dict)) if isinstance(errors, list) else ()


def _texts(context: Any) -> Iterator[str]:
    """HubSpot's contexts map a word to a list of texts; a text alone is seen as well."""
    for value in context.values() if isinstance(context, dict) else ():
        yield from (str(each) for each in (value if isinstance(value, list) else [value]))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
