"""What the fake account says, and what it wants of every body."""

from typing import Any

import msgspec
from starlette.responses import JSONResponse

from tests.fakes.hubspot_records import Refused

STAMP = "2026-11-24T10:00:00.000Z"
MOST = 100


def problem(status: int, message: str, category: str, **more: Any) -> JSONResponse:
    said = {"status": "error", "message": message, "correlationId": "a-b-c", "category": category}
    return JSONResponse(said | more, status)


def throttled(policy: str) -> JSONResponse:
    message = f"You have reached your {policy.lower()} limit."
    return problem(429, message, "RATE_LIMITS", errorType="RATE_LIMIT", policyName=policy)


def missing_scope(scope: str) -> JSONResponse:
    message = "This app hasn't been granted all required scopes to make this call."
    errors = [{"message": message, "context": {"requiredGranularScopes": [scope]}}]
    return problem(403, message, "MISSING_SCOPES", errors=errors)


def refusal(refused: Refused) -> JSONResponse:
    errors = [{"message": refused.message, "code": refused.code}] if refused.code else []
    return problem(refused.status, refused.message, refused.category, errors=errors)


def error_of(each: dict[str, Any], refused: Refused) -> dict[str, Any]:
    return {
        "status": "error",
        "category": refused.category,
        "message": refused.message,
        "errors": [{"message": refused.message, "code": refused.code}],
        "context": {"objectWriteTraceId": [each["objectWriteTraceId"]]},
    }


def batch(results: list[dict[str, Any]], errors: list[dict[str, Any]], ok: int) -> JSONResponse:
    said: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": STAMP,
        "completedAt": STAMP,
    }
    return JSONResponse(
        said | ({"numErrors": len(errors), "errors": errors} if errors else {}), 207 if errors else ok
    )


def body_of(raw: bytes) -> dict[str, Any] | None:
    try:
        said = msgspec.json.decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said if isinstance(said, dict) else None


def inputs(body: dict[str, Any]) -> list[dict[str, Any]]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list):
        raise Refused("inputs is required")
    if not 0 < len(inputs) <= MOST:
        raise Refused(f"{len(inputs)} inputs; between 1 and {MOST} are allowed")
    return inputs


def require(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in body:
            raise Refused(f"Some required fields were not set: [{name}]")


def check_unique_ids(ids: list[Any]) -> None:
    if len(ids) != len({*ids}):
        raise Refused("Duplicate IDs found in batch input")


def texts(properties: Any) -> dict[str, str]:
    if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
        raise Refused("Property values must be strings", code="INVALID_TYPE")
    return properties
