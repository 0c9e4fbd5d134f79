"""What is remembered of the tasks that the relay has made."""

from collections.abc import Collection, Mapping

import msgspec

from crm_clients.base import ClientState


class Note(msgspec.Struct):
    """A task's record id, the calls that it is for, and a digest of what it said at first."""

    id: str
    calls: list[str]
    digest: str = ""


class Notes:
    """Notes by the key of their task, which spells the customer's number."""

    def __init__(self, memory: ClientState) -> None:
        self._state = memory

    async def recall(self, keys: Collection[str]) -> dict[str, Note]:
        """Those that there are."""
        kept = await self._state.get_many([_key(key) for key in keys]) if keys else {}
        return {
            key: msgspec.json.decode(kept[name], type=Note) for key in keys if (name := _key(key)) in kept
        }

    async def keep(self, notes: Mapping[str, Note]) -> None:
        """Keep these, in the place of what was kept."""
        if notes:
            await self._state.set_many({_key(k): msgspec.json.encode(n).decode() for k, n in notes.items()})

    async def forget(self, keys: Collection[str]) -> None:
        """Remember nothing of these tasks."""
        if keys:
            await self._state.set_many({_key(key): None for key in keys})


def _key(key: str) -> str:
    return f"task:{key}"
