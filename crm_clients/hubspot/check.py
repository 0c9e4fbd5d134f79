"""What `relay check` examines in a HubSpot account, and the properties that `relay setup` creates there."""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Final, TypeGuard

import msgspec

from crm_clients.base import Finding, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.hubspot.api import Api, ObjectType, Paths
from crm_clients.hubspot.call_records import DEFAULT_PROPERTIES
from crm_clients.hubspot.errors import FORBIDDEN, MISSING_PROPERTY, MISSING_SCOPE, ApiError, ApiFailure
from crm_clients.hubspot.owners import NO_OWNER, OwnerResults, Owners
from crm_clients.hubspot.responses import (
    UNEXPECTED_ANSWER,
    JsonObject,
    OwnerObject,
    PropertyGroup,
    PropertyObject,
    Results,
)
from crm_clients.hubspot.settings import CALL_ID, MERGED_INTO, TASK_ID, HubSpotSettings

_LABELS: Final = {
    CALL_ID: "CloudTalk call",
    TASK_ID: "CloudTalk follow-up",
    MERGED_INTO: "CloudTalk call that this one is part of",
}
_READ_SCOPE: Final = "crm.objects.contacts.read"
_WRITE_SCOPE: Final = "crm.objects.contacts.write"
_OWNERS_SCOPE: Final = "crm.objects.owners.read"

_CODES_BY_OUTCOME: Final[dict[type[Outcome], str]] = {
    Unauthorised: "unauthorised",
    Throttled: "throttled",
    Retry: "unreachable",
    Unknown: "unreachable",
}
_UNKNOWN_OWNER: Final = "unknown_owner"
CODES: Final = {
    FORBIDDEN,
    MISSING_SCOPE,
    MISSING_PROPERTY,
    *_CODES_BY_OUTCOME.values(),
    _UNKNOWN_OWNER,
    UNEXPECTED_ANSWER,
}
"""Every code that a finding can have."""


GroupResults = Results[PropertyGroup]


class RequiredProperty(msgspec.Struct, frozen=True):
    """A property that the records of a type must have."""

    type_: ObjectType
    name: str
    unique: bool = False


def required_properties(settings: HubSpotSettings) -> Iterator[RequiredProperty]:
    """Yield the properties that `setup` creates."""
    yield RequiredProperty(ObjectType.CALLS, CALL_ID, unique=True)
    if settings.follow_up_tasks:
        yield RequiredProperty(ObjectType.TASKS, TASK_ID, unique=True)
    if settings.on_merge == "mark":
        yield RequiredProperty(ObjectType.CALLS, MERGED_INTO)


# --- check --------------------------------------------------------------------------------------


async def check_account(api: Api, owners: Owners, name: str, settings: HubSpotSettings) -> list[Finding]:
    """Return every problem, or one finding without a problem. Sends no request that writes.

    If the token is invalid or HubSpot cannot be reached, the check ends: each further request would fail too.
    """
    problems: list[Finding] = []
    for required in (*required_properties(settings), *_mapped_properties(settings)):
        finding = await _check_property(api, name, required)
        if finding is not None:
            problems.append(finding)
            if finding.code not in {MISSING_PROPERTY, MISSING_SCOPE}:
                return problems
    problems += [finding async for finding in _check_scopes(api, name, settings)]
    if not any(finding.code == MISSING_SCOPE for finding in problems):
        finding = await _check_default_owner(api, owners, name, settings)
        problems += [finding] if finding else []
    return problems or [Finding(name=name, ok=True)]


def _mapped_properties(settings: HubSpotSettings) -> Iterator[RequiredProperty]:
    """Yield the properties that `fields` and the constants name."""
    for name in sorted({*settings.fields.values(), *settings.constants} - {*DEFAULT_PROPERTIES.values(), ""}):
        yield RequiredProperty(ObjectType.CALLS, name)
    if settings.contacts == "create":
        for name in sorted(settings.contact_constants):
            yield RequiredProperty(ObjectType.CONTACTS, name)
    if settings.follow_up_tasks:
        for name in sorted(settings.task_constants):
            yield RequiredProperty(ObjectType.TASKS, name)


async def _check_property(api: Api, name: str, required: RequiredProperty) -> Finding | None:
    response = await api.get(api.paths.property(required.type_, required.name), PropertyObject)
    if isinstance(response, PropertyObject):
        if not required.unique or response.has_unique_value:
            return None
        return _problem(
            name,
            MISSING_PROPERTY,
            f"The property {required.name} of {required.type_} is not unique: records would be duplicated.",
            f"Delete it in HubSpot (Settings, Properties) and run `relay setup {name}`.",
        )
    if _is_absent(response):
        hint = (
            f"Run `relay setup {name}`."
            if required.name in _LABELS
            else f"Create it in HubSpot (Settings, Properties), or correct [destinations.{name}]."
        )
        problem = f"{required.type_.capitalize()} have no property {required.name}."
        return _problem(name, MISSING_PROPERTY, problem, hint)
    return _finding(api, name, response, _READ_SCOPE)


async def _check_scopes(api: Api, name: str, settings: HubSpotSettings) -> AsyncIterator[Finding]:
    """Send one request for each permission. An upsert without inputs needs the scope, and writes nothing."""
    if settings.contacts != "off":
        body: JsonObject = {"filterGroups": [], "properties": [], "sorts": [], "limit": 1, "after": "0"}
        found = await api.search(ObjectType.CONTACTS, body)
        if _is_denied(found):
            yield _finding(api, name, found, _READ_SCOPE)
    written = await api.write_batch(ObjectType.CALLS, "upsert", [])
    if _is_denied(written):
        yield _finding(api, name, written, _WRITE_SCOPE)
    if settings.owners_by_email:
        owners = await api.get(api.paths.owners(), OwnerResults, limit="1")
        if _is_denied(owners):
            yield _finding(api, name, owners, _OWNERS_SCOPE)


async def _check_default_owner(
    api: Api, owners: Owners, name: str, settings: HubSpotSettings
) -> Finding | None:
    owner = settings.default_owner
    exists = True if owner is None else await _owner_exists(api, owners, owner)
    if isinstance(exists, ApiFailure):
        return _finding(api, name, exists, _OWNERS_SCOPE)
    if exists:
        return None
    hint = f"Correct default_owner in [destinations.{name}]: an active user's e-mail address or owner id."
    return _problem(name, _UNKNOWN_OWNER, f"HubSpot has no owner {owner}.", hint)


async def _owner_exists(api: Api, owners: Owners, owner: str) -> bool | ApiFailure:
    if "@" in owner:
        id_ = await owners.fetch(owner)
        return id_ if isinstance(id_, Outcome) else id_ != NO_OWNER
    response = await api.get(api.paths.owner(owner), OwnerObject)
    if isinstance(response, ApiError) and response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return False
    return response if isinstance(response, ApiFailure) else True


def _is_absent(failure: ApiFailure) -> bool:
    return isinstance(failure, ApiError) and failure.status == HTTPStatus.NOT_FOUND


def _is_denied(response: object) -> TypeGuard[ApiFailure]:
    """A bad request was permitted: HubSpot may refuse a request without content for that reason alone."""
    if isinstance(response, ApiError):
        return response.status != HTTPStatus.BAD_REQUEST
    return isinstance(response, ApiFailure)


def _finding(api: Api, name: str, failure: ApiFailure, scope: str) -> Finding:
    outcome = api.outcome(failure)
    own_code = outcome.code if outcome.code in CODES else None
    code = own_code or _CODES_BY_OUTCOME.get(type(outcome), UNEXPECTED_ANSWER)
    hints = {
        "unauthorised": "Copy the service key from HubSpot (Development, Keys, Service keys) into the "
        f"setting token of [destinations.{name}].",
        MISSING_SCOPE: f"Add the scope {_missing_scopes(failure) or scope} to the service key in HubSpot.",
        FORBIDDEN: "Correct in the HubSpot account what the message names, as a limit or a suspension.",
        "throttled": "Wait until HubSpot's limit is reset, a daily limit at midnight. No call is lost.",
        "unreachable": f"Check that this machine reaches base_url of [destinations.{name}].",
    }
    hint = hints.get(str(code), f"Check base_url and api_version of [destinations.{name}].")
    return _problem(name, str(code), outcome.message or "HubSpot gave an unexpected answer.", hint)


def _missing_scopes(failure: ApiFailure) -> str:
    return failure.missing_scopes if isinstance(failure, ApiError) else ""


def _problem(name: str, code: str, problem: str, hint: str) -> Finding:
    return Finding(name=name, ok=False, code=code, problem=problem, hint=hint)


# --- setup --------------------------------------------------------------------------------------


async def create_properties(api: Api, settings: HubSpotSettings) -> list[str]:
    """Create the required properties that do not exist. Returns one line for each."""
    return [
        f"{required.type_}.{required.name}: {await _create_property(api, required)}"
        for required in required_properties(settings)
    ]


async def _create_property(api: Api, required: RequiredProperty) -> str:
    existing = await api.get(api.paths.property(required.type_, required.name), PropertyObject)
    if isinstance(existing, PropertyObject):
        unique = not required.unique or existing.has_unique_value
        return "exists already" if unique else "exists already, and is not unique"
    if not _is_absent(existing):
        return f"could not be looked up: {api.outcome(existing).message}"
    groups = await api.get(api.paths.property_groups(required.type_), GroupResults)
    if isinstance(groups, ApiFailure):
        return f"could not be created: {api.outcome(groups).message}"
    definition = _property_definition(required, _choose_group(groups, required.type_))
    created = await api.post(api.paths.properties(required.type_), definition, PropertyObject)
    if isinstance(created, ApiError) and created.status == HTTPStatus.CONFLICT:
        return "exists already"  # created by somebody else since the look-up
    if isinstance(created, ApiFailure):
        return f"could not be created: {api.outcome(created).message}"
    return "created"


def _choose_group(groups: GroupResults, type_: ObjectType) -> str:
    """HubSpot's own group comes first in the list of a type; its name differs from type to type."""
    names = [group.name for group in groups.results if not group.archived]
    return names[0] if names else _usual_group(type_)


def _usual_group(type_: ObjectType) -> str:
    return type_.removesuffix("s")


def _property_definition(required: RequiredProperty, group: str) -> JsonObject:
    return {
        "name": required.name,
        "label": _LABELS[required.name],
        "description": "Written by CloudTalk Relay. Please leave it as it is.",
        "type": "string",
        "fieldType": "text",
        "groupName": group,
        "hasUniqueValue": required.unique,
    }


def format_setup_requests(settings: HubSpotSettings) -> str:
    """Format the requests as curl commands; HUBSPOT_TOKEN must hold a key with the scopes for schemas."""
    return "\n".join(_curl_command(settings, required) for required in required_properties(settings))


def _curl_command(settings: HubSpotSettings, required: RequiredProperty) -> str:
    paths, type_ = Paths(settings.api_version), required.type_
    body = msgspec.json.encode(_property_definition(required, _usual_group(type_))).decode()
    return (
        f"# groupName is one of: {settings.base_url}{paths.property_groups(type_)}\n"
        f"curl -X POST '{settings.base_url}{paths.properties(type_)}' \\\n"
        "  -H \"Authorization: Bearer $HUBSPOT_TOKEN\" -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'\n"
    )
