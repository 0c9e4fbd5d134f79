"""Reads values of options that several commands have. A wrong value is a usage error with its option."""

from collections.abc import Iterator
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
