"""The JSON responses of the fake account, and what it requires of every request body."""

from typing import Any

import msgspec
from starlette.responses import JSONResponse

from tests.fakes.hubspot_records import RecordRejected

TIMESTAMP = "2026-11-24T10:00:00.000Z"
MAX_INPUTS = 100

# --- responses --------------------------------------------------------------------------------


def error_response(status: int, message: str, category: str, **more: Any) -> JSONResponse:
    body = {"status": "error", "message": message, "correlationId": "a-b-c", "category": category}
    return JSONResponse(body | more, status)


def throttled_response(policy: str) -> JSONResponse:
    message = f"You have reached your {policy.lower()} limit."
    return error_response(429, message, "RATE_LIMITS", errorType="RATE_LIMIT", policyName=policy)


def missing_scope_response(scope: str) -> JSONResponse:
    message = "This app hasn't been granted all required scopes to make this call."
    errors = [{"message": message, "context": {"requiredGranularScopes": [scope]}}]
    return error_response(403, message, "MISSING_SCOPES", errors=errors)


def rejection_response(rejected: RecordRejected) -> JSONResponse:
    """A whole request that is refused because of one record."""
    errors = [{"message": rejected.message, "code": rejected.code}] if rejected.code else []
    return error_response(rejected.status, rejected.message, rejected.category, errors=errors)


def batch_error(input_: dict[str, Any], rejected: RecordRejected) -> dict[str, Any]:
    """The entry in `errors` for one input of a batch."""
    return {
        "status": "error",
        "category": rejected.category,
        "message": rejected.message,
        "errors": [{"message": rejected.message, "code": rejected.code}],
        "context": {"objectWriteTraceId": [input_["objectWriteTraceId"]]},
    }


def batch_response(results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int) -> JSONResponse:
    """`status` is that of complete success; with errors it is 207."""
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": TIMESTAMP,
        "completedAt": TIMESTAMP,
    }
    if errors:
        return JSONResponse(body | {"numErrors": len(errors), "errors": errors}, 207)
    return JSONResponse(body, status)


# --- request bodies ---------------------------------------------------------------------------


def parse_body(raw: bytes) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None


def require_inputs(body: dict[str, Any]) -> list[dict[str, Any]]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list):
        raise RecordRejected("inputs is required")
    if not 0 < len(inputs) <= MAX_INPUTS:
        raise RecordRejected(f"{len(inputs)} inputs; between 1 and {MAX_INPUTS} are allowed")
    return inputs


def require_keys(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in body:
            raise RecordRejected(f"Some required fields were not set: [{name}]")


def require_unique_ids(ids: list[Any]) -> None:
    if len(ids) != len({*ids}):
        raise RecordRejected("Duplicate IDs found in batch input")


def require_texts(properties: Any) -> dict[str, str]:
    if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
        raise RecordRejected("Property values must be strings", code="INVALID_TYPE")
    return properties
