"""A request with which a person tries the webhook."""

import shlex
from pathlib import Path
from typing import Final

from relay.cli.init.settings_text import TOKENS
from relay.settings import CloudTalk

_WEBHOOK_PATH: Final = CloudTalk.model_fields["webhook_path"].default
_BODY: Final = """\
{"event": "call.ended", "data": {"id": "try-1",
    "direction": "inbound", "from": "+34612345678", "to": "+34987654321",
    "contact_name": "Ana Ejemplo", "status": "completed", "duration": 65}}"""


def example_request(url: str, folder: Path) -> str:
    """Return a curl command that sends a call to the relay at this URL, with the token in its file."""
    # The shell expands `$(…)` within double quotes only, and within it the path is quoted by itself.
    token = f"$(head -n 1 {shlex.quote(str(folder / TOKENS))})"
    return f"""\
  curl {url}{_WEBHOOK_PATH} \\
    -H "Authorization: Bearer {token}" \\
    -H 'Content-Type: application/json' \\
    -d '{_BODY}'"""
