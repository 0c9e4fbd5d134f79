"""Looks up the calls and destinations that a command line names.

A name or id that does not exist ends the command with exit code 1 before anything is changed.
"""

from collections.abc import Iterable, Sequence

import click

from relay.cli.ledger_session import read_with_ledger
from relay.ledger import Ledger, destinations
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.operations.calls import find_call
from relay.operations.explanation import Situation, situation_of
from relay.operations.missing_calls import explain_missing_call
from relay.settings import Settings


def read_calls(settings: Settings, ids: Sequence[str]) -> list[CallRow]:
    """Return the calls with these ids from the ledger of the settings; see `require_calls`."""

    async def read(ledger: Ledger) -> list[CallRow]:
        situation = situation_of(settings, ledger.now(), for_people=True)
        return await ledger.read(lambda connection: require_calls(connection, ids, situation))

    return read_with_ledger(settings, read)


def require_calls(connection: Connection, ids: Sequence[str], situation: Situation) -> list[CallRow]:
    """Return the calls with these ids, each once. For the ids see `find_call`. The error says for each
    unknown id what arrived with it.
    """
    found = {id_: find_call(connection, id_) for id_ in ids}
    if missing := [id_ for id_, call in found.items() if call is None]:
        sentences = (explain_missing_call(connection, id_, situation).text.en for id_ in missing)
        raise click.ClickException("\n".join((f"no call has the id {', '.join(missing)}", *sentences)))
    return list({call.id: call for call in found.values() if call is not None}.values())


def require_destination(name: str, known: Iterable[str]) -> None:
    names = sorted(set(known))
    if name not in names:
        hint = f"the destinations are {', '.join(names)}" if names else "the settings have no destination"
        raise click.ClickException(f"no destination is named {name}; {hint}")


def destination_names(connection: Connection, settings: Settings) -> set[str]:
    """Return the names of the destinations in the settings and of those that were there before."""
    return {row.name for row in destinations.list_all(connection)} | set(settings.destinations)
