"""Reads values of options that several commands have. A wrong value is a usage error with its option."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import click

from relay.instants import Instant
from relay.operations import filter_values
from relay.operations.call_list import FilterError


@contextmanager
def usage_errors() -> Iterator[None]:
    """Show a `FilterError` as the fault of the option with the name of its field."""
    try:
        yield
    except FilterError as error:
        raise click.BadParameter(str(error), param_hint=f"'--{error.field}'") from error


def parse_time(written: str | None, zone: ZoneInfo, field: str) -> Instant | None:
    """Return the time of the option `--field`; None if it was not given."""
    if written is None:
        return None
    with usage_errors():
        return filter_values.parse_time(field, written, zone)


def require_one_value(words: Sequence[str]) -> str:
    """Return the only word. Several words are not joined: they might be two numbers, and a command that
    erases must not guess which one is meant.
    """
    if len(words) > 1:
        raise click.UsageError(
            f"one id or number at a time; write a number with spaces in quotes: '{' '.join(words)}'"
        )
    return words[0]
