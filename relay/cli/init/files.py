"""Writes the settings file and the secret files, each complete or not at all."""

import base64
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from relay.cli.init.answers import Answers
from relay.cli.init.settings_text import CONSOLE_TOKENS, TOKENS, build_settings_text
from relay.standards.addresses import is_loopback
from relay.standards.private_files import create_private_folder

SETTINGS: Final = "settings.toml"
LOCAL_SETTINGS: Final = "settings.local.toml"
_SECRETS: Final = "secrets"


def write_files(folder: Path, answers: Answers) -> list[Path]:
    """Write the files into the folder, which is created for its owner alone. Return those that were written.

    The settings come last, since they name the others. Tokens that exist stay: CloudTalk and people have
    them. Raises `OSError`.
    """
    texts = _secret_texts(folder, answers)
    has_console_tokens = is_public(answers)
    texts[SETTINGS] = build_settings_text(answers, has_console_tokens=has_console_tokens)
    create_private_folder(folder)
    create_private_folder(folder / _SECRETS)
    return _write(folder, texts)


def is_public(answers: Answers) -> bool:
    """Whether other machines reach the relay: then people need a token for the console."""
    return not is_loopback(urlsplit(answers.public_url or "http://127.0.0.1").hostname or "")


def _secret_texts(folder: Path, answers: Answers) -> dict[str, str]:
    """Return the text of each secret file to write, by its path in the folder."""
    names = [TOKENS, *([CONSOLE_TOKENS] if is_public(answers) else [])]
    texts = {name: secrets.token_hex(32) for name in names if not (folder / name).exists()}
    if answers.crm.key:
        texts[f"{_SECRETS}/{answers.crm.key.file}"] = answers.key or _create_signing_secret()
    return {name: f"{text}\n" for name, text in texts.items()}


def _create_signing_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write all texts beside their files first, then give each its name."""
    staged: dict[Path, Path] = {}
    try:
        for name, text in texts.items():
            file = folder / name
            # `mkstemp` creates a file for its owner alone.
            descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
            staged[file] = Path(temporary)
            with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - it is a descriptor
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        for file, temporary_file in staged.items():
            temporary_file.replace(file)
        return list(staged)
    finally:
        for temporary_file in staged.values():
            with suppress(FileNotFoundError):
                temporary_file.unlink()
