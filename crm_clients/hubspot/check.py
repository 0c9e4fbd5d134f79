"""What keeps calls from reaching HubSpot, and what `setup` makes there. `check` writes nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

import msgspec

from crm_clients.base import Finding, Misconfigured, Outcome, Retry, Throttled, Unauthorised, Unknown
from crm_clients.hubspot.api import CALLS, CONTACTS, SEARCH, TASKS, Api, ApiFailure, Paths, Said, results_of
from crm_clients.hubspot.calls import DEFAULTS
from crm_clients.hubspot.errors import MISSING_PROPERTY, MISSING_SCOPE, ApiError
from crm_clients.hubspot.owners import NOBODY, Owners
from crm_clients.hubspot.settings import CALL_ID, MERGED_INTO, TASK_ID, HubSpotSettings

_LABELS: Final = {
    CALL_ID: "CloudTalk call",
    TASK_ID: "CloudTalk follow-up",
    MERGED_INTO: "CloudTalk call that this one is part of",
}
_READ, _WRITE, _OWNERS = "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"
_BY_OUTCOME: Final[dict[type[Outcome], str]] = {
    Unauthorised: "unauthorised",
    Throttled: "throttled",
    Retry: "unreachable",
    Unknown: "unreachable",
}
_UNKNOWN_OWNER: Final = "unknown_owner"
_OTHERWISE: Final = "unexpected_answer"

CODES: Final = frozenset({MISSING_SCOPE, MISSING_PROPERTY, *_BY_OUTCOME.values(), _UNKNOWN_OWNER, _OTHERWISE})
"""Every code that a finding can bear."""


class Property(msgspec.Struct, frozen=True):
    """A property that records of a kind need."""

    kind: str
    name: str
    unique: bool = False


def needed(settings: HubSpotSettings) -> Iterator[Property]:
    """What `setup` makes."""
    yield Property(CALLS, CALL_ID, unique=True)
    if settings.follow_up_tasks:
        yield Property(TASKS, TASK_ID, unique=True)
    if settings.on_merge == "mark":
        yield Property(CALLS, MERGED_INTO)


# --- checking ---------------------------------------------------------------------------------


async def findings(api: Api, owners: Owners, name: str, settings: HubSpotSettings) -> list[Finding]:
    """All that is wrong, or one finding that says that nothing is.

    Where the token or the way to HubSpot is bad, the rest would say the same.
    """
    bad: list[Finding] = []
    for wanted in (*needed(settings), *_mapped(settings)):
        finding = await _property(api, name, wanted)
        if finding is not None:
            bad.append(finding)
            if finding.code not in {MISSING_PROPERTY, MISSING_SCOPE}:
                return bad
    bad += [finding async for finding in _rights(api, name, settings)]
    if not any(finding.code == MISSING_SCOPE for finding in bad):
        bad += [finding async for finding in _default_owner(api, owners, name, settings)]
    return bad or [Finding(name=name, ok=True)]


def _mapped(settings: HubSpotSettings) -> Iterator[Property]:
    ours = {*DEFAULTS.values()}
    for name in sorted({*settings.fields.values(), *settings.constants} - ours - {""}):
        yield Property(CALLS, name)


async def _property(api: Api, name: str, wanted: Property) -> Finding | None:
    said = await api.get(api.paths.properties(wanted.kind, wanted.name))
    if isinstance(said, dict):
        if not wanted.unique or said.get("hasUniqueValue") is True:
            return None
        return _bad(
            name,
            MISSING_PROPERTY,
            f"The property {wanted.name} of {wanted.kind} is not unique: records would be doubled.",
            f"Delete it in HubSpot (Settings, Properties) and run `relay setup {name}`.",
        )
    if isinstance(said, ApiError) and said.status == 404:  # noqa: PLR2004 - Not Found
        hint = (
            f"Run `relay setup {name}`."
            if wanted.name in _LABELS
            else f"Make it in HubSpot (Settings, Properties), or correct [destinations.{name}]."
        )
        return _bad(
            name, MISSING_PROPERTY, f"{wanted.kind} have no property {wanted.name}.".capitalize(), hint
        )
    return _finding(api, name, said, _READ)


async def _rights(api: Api, name: str, settings: HubSpotSettings) -> AsyncIterator[Finding]:
    """Whether what is done every day is permitted. An upsert of nothing shows it and writes nothing."""
    if settings.contacts != "off":
        body: Said = {"filterGroups": [], "properties": [], "sorts": [], "limit": 1, "after": "0"}
        said = await api.post(api.paths.search(CONTACTS), body, rate_limit=SEARCH)
        if _is_denied(said):
            yield _finding(api, name, said, _READ)
    said = await api.post(api.paths.batch(CALLS, "upsert"), {"inputs": []})
    if _is_denied(said):
        yield _finding(api, name, said, _WRITE)
    if settings.owners_by_email:
        said = await api.get(api.paths.owners(), limit="1")
        if _is_denied(said):
            yield _finding(api, name, said, _OWNERS)


def _is_denied(said: Said | ApiFailure) -> bool:
    """A request without content may be refused as such (400): then it was permitted."""
    return not isinstance(said, dict) and not (isinstance(said, ApiError) and said.status == 400)  # noqa: PLR2004


async def _default_owner(
    api: Api, owners: Owners, name: str, settings: HubSpotSettings
) -> AsyncIterator[Finding]:
    owner = settings.default_owner
    if owner is None:
        return
    if "@" in owner:
        found = await owners.ask(owner)
        if isinstance(found, Outcome):
            yield _finding(api, name, found, _OWNERS)
        exists = found != NOBODY
    else:
        said = await api.get(api.paths.owners(owner))
        exists = isinstance(said, dict)
        if not isinstance(said, dict | ApiError) or (
            isinstance(said, ApiError) and said.status not in {400, 404}
        ):
            yield _finding(api, name, said, _OWNERS)
            return
    if not exists:
        hint = f"Correct default_owner in [destinations.{name}]: an active user's e-mail address or owner id."
        yield _bad(name, _UNKNOWN_OWNER, f"HubSpot has no owner {owner}.", hint)


def _finding(api: Api, name: str, said: Said | ApiFailure, scope: str) -> Finding:
    outcome = api.outcome(said) if not isinstance(said, dict) else Misconfigured()
    code = _BY_OUTCOME.get(type(outcome)) or (outcome.code if outcome.code in CODES else _OTHERWISE)
    hints = {
        "unauthorised": "Copy the service key from HubSpot (Development, Keys, Service keys) into the "
        f"setting token of [destinations.{name}].",
        MISSING_SCOPE: f"Add the scope {_scopes(said) or scope} to the service key in HubSpot.",
        "throttled": "Wait: HubSpot's limit is spent, a daily one until midnight. Nothing is lost.",
        "unreachable": f"See that this machine reaches base_url of [destinations.{name}].",
    }
    hint = hints.get(str(code), f"See that base_url and api_version of [destinations.{name}] are right.")
    return _bad(name, str(code), outcome.message or "HubSpot gave an unexpected answer.", hint)


def _scopes(said: Said | ApiFailure) -> str:
    """HubSpot: a 403's contexts name the scopes that are missing."""
    return ", ".join(sorted(i for i in said.ids if "." in i)) if isinstance(said, ApiError) else ""


def _bad(name: str, code: str, problem: str, hint: str) -> Finding:
    return Finding(name=name, ok=False, code=code, problem=problem, hint=hint)


# --- setting up -------------------------------------------------------------------------------


async def set_up(api: Api, settings: HubSpotSettings) -> list[str]:
    """Make the properties that are not there; one line for each."""
    return [f"{each.kind}.{each.name}: {await _make(api, each)}" for each in needed(settings)]


async def _make(api: Api, wanted: Property) -> str:
    said = await api.get(api.paths.properties(wanted.kind, wanted.name))
    if isinstance(said, dict):
        return (
            "is there" if not wanted.unique or said.get("hasUniqueValue") else "is there, and is not unique"
        )
    if not (isinstance(said, ApiError) and said.status == 404):  # noqa: PLR2004 - Not Found
        return f"could not be looked for: {api.outcome(said).message}"
    groups = await api.get(api.paths.groups(wanted.kind))
    if not isinstance(groups, dict):
        return f"could not be made: {api.outcome(groups).message}"
    made = await api.post(api.paths.properties(wanted.kind), _definition(wanted, _group(groups, wanted.kind)))
    if isinstance(made, ApiError) and made.status == 409:  # noqa: PLR2004 - Conflict: somebody was faster
        return "is there"
    return "made" if isinstance(made, dict) else f"could not be made: {api.outcome(made).message}"


def _group(said: Said, kind: str) -> str:
    """HubSpot's own group of the kind comes first in its list; its name differs from kind to kind."""
    names = [str(group.get("name")) for group in results_of(said) if not group.get("archived")]
    return names[0] if names else _usual_group(kind)


def _usual_group(kind: str) -> str:
    return kind.removesuffix("s")


def _definition(wanted: Property, group: str) -> Said:
    return {
        "name": wanted.name,
        "label": _LABELS[wanted.name],
        "description": "Written by CloudTalk Relay. Please leave it as it is.",
        "type": "string",
        "fieldType": "text",
        "groupName": group,
        "hasUniqueValue": wanted.unique,
    }


def setup_text(settings: HubSpotSettings) -> str:
    """The requests for a shell with curl; HUBSPOT_TOKEN holds a key with the schemas' scopes."""
    paths = Paths(settings.api_version)
    return "\n".join(
        f"# groupName is one of: {settings.base_url}{paths.groups(each.kind)}\n"
        f"curl -X POST '{settings.base_url}{paths.properties(each.kind)}' \\\n"
        "  -H \"Authorization: Bearer $HUBSPOT_TOKEN\" -H 'Content-Type: application/json' \\\n"
        f"  -d '{_json(_definition(each, _usual_group(each.kind)))}'\n"
        for each in needed(settings)
    )


def _json(body: Said) -> str:
    return msgspec.json.encode(body).decode()
