"""Recordings for tests, and settings of a relay that plays them from a fake CloudTalk."""

import base64
import struct
from typing import Any, Final

from relay.call import Call, RecordingLinks
from relay.settings import Settings

SIGNING_KEY: Final = "key-of-the-links-0123456789"
ARCHIVE_KEY: Final = "key-of-the-archive-0123456789"
RATE: Final = 8_000


def wav(seconds: float) -> bytes:
    """A recording as CloudTalk sends it: mono, 8 kHz, 16 bits. Each sample differs from those around it."""
    count = int(seconds * RATE)
    samples = struct.pack(
        f"<{min(count, 65_521)}h", *(n % 65_521 - 32_760 for n in range(min(count, 65_521)))
    )
    data = (samples * (count * 2 // max(len(samples), 1) + 1))[: count * 2]
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        RATE,
        RATE * 2,
        2,
        16,
        b"data",
        len(data),
    )
    return head + data


def public_path(call_id: str) -> str:
    """The path of a public link to a recording."""
    return f"/pub/r/{base64.b64encode(call_id.encode()).decode().rstrip('=')}/aGFzaA.wav"


def recorded_call(call_id: str, url: str, **facts: Any) -> dict[str, Any]:
    """The body of an Ended with a recording, in the dialect of the workflows."""
    return {
        "event": "call.ended",
        "call_id": int(call_id),
        "call_uuid": f"44fe27cd-5268-4670-993e-{int(call_id):012d}",
        "direction": "incoming",
        "external_number": 34612345678,
        "internal_number": 34910000000,
        "started_at": "2026-11-20T10:00:00Z",
        "ended_at": "2026-11-20T10:20:00Z",
        "talking_time": 1190,
        "recording_url": url + public_path(call_id),
    } | facts


def recording_settings(url: str, **recordings: Any) -> dict[str, Any]:
    """The sections of the settings for a fake CloudTalk at this URL."""
    return {
        "server": {"public_url": "http://127.0.0.1:8080"},
        "cloudtalk": {"api": {"key_id": "id", "key_secret": "secret", "base_url": f"{url}/api"}},
        "enrich": {"analytics": False},
        "recordings": {"proxy": True, "signing_keys": [SIGNING_KEY], "allowed_hosts": ["127.0.0.1"]}
        | recordings,
    }


def path_of(link: str) -> str:
    """The path and the query of a link to a recording."""
    return link[link.index("/recordings/") :]


def link_to(settings: Settings, call: Call) -> str:
    """The path and the query of the link that CRMs receive for this call."""
    links = settings.recording_links
    assert isinstance(links, RecordingLinks)
    return path_of(links.link(call))
