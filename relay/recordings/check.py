"""Checks of recordings for `relay check`: the API key, the archive, and how long it lasts."""

import tempfile
from pathlib import Path
from typing import Final

from crm_clients.base import Finding
from relay.cloudtalk.api import ApiAccess
from relay.recordings.build import build_downloader
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.statuses import check_status
from relay.recordings.stores import StoreFailed, check_store, open_store
from relay.settings import Settings
from relay.settings.recordings import S3_PREFIX
from relay.standards.file_access import explain_uncreatable

_NAME: Final = "recordings"
API: Final = "cloudtalk.api"


async def check_recordings(settings: Settings) -> list[Finding]:
    """Check what the settings use. A store on S3 gets a small object, which is deleted again."""
    findings = []
    if (api := settings.cloudtalk.api.access()) is not None:
        findings.append(await _check_api(settings, api))
    if settings.recordings.keep:
        findings += [await _check_store(settings), *_review_archive(settings)]
    return findings


async def _check_api(settings: Settings, api: ApiAccess) -> Finding:
    """Send a short request with the API key."""
    downloader = build_downloader(settings)
    try:
        async with downloader.get(api.agents_url, api.headers) as response:
            check_status(response)
    except FetchFailed as error:
        if error.reason is Reason.UNAUTHORISED:
            hint = "create another key in CloudTalk, and write it to cloudtalk.api.key_id and key_secret"
            return Finding(name=API, ok=False, code="unauthorised", problem=str(error), hint=hint)
        hint = "check cloudtalk.api.base_url, and that this machine can reach it"
        return Finding(name=API, ok=False, code="unreachable", problem=str(error), hint=hint)
    finally:
        await downloader.aclose()
    return Finding(name=API, ok=True)


async def _check_store(settings: Settings) -> Finding:
    url = settings.recordings.keep_url
    if not url.startswith(S3_PREFIX):
        reason = explain_uncreatable(Path(url) / "recording")
        if reason is None:
            return Finding(name=_NAME, ok=True)
        problem = f"the archive {url} cannot be written"
        return Finding(name=_NAME, ok=False, code="unreachable", problem=problem, hint=reason)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            await check_store(open_store(settings.recordings), Path(scratch))
    except StoreFailed as error:
        hint = "check recordings.keep_url and [recordings.s3]; the key must be able to write, read and delete"
        return Finding(name=_NAME, ok=False, code="unreachable", problem=str(error), hint=hint)
    return Finding(name=_NAME, ok=True)


def _review_archive(settings: Settings) -> list[Finding]:
    findings = []
    if not settings.recordings.keep_key:
        findings.append(
            Finding(
                name=_NAME,
                ok=True,
                code="unencrypted",
                problem="recordings.keep_key is not set: archived recordings are not encrypted",
                hint="write a key to recordings.keep_key (openssl rand -hex 32 creates one), and keep a copy",
            )
        )
    if "recordings_days" not in settings.privacy.model_fields_set:
        days = settings.privacy.recordings_days
        findings.append(
            Finding(
                name=_NAME,
                ok=True,
                code="short_retention",
                problem=f"archived recordings are deleted after {days:g} days, the default",
                hint="write to privacy.recordings_days for how many days you want to keep them",
            )
        )
    return findings
