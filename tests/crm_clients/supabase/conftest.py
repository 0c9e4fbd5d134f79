from collections.abc import AsyncIterator
from typing import Any

import pytest

from crm_clients.follow_up import FollowUpRules
from crm_clients.supabase import SupabaseClient, SupabaseSettings
from tests.support.clients import make_context
from tests.support.supabase import Connect, Supabase


@pytest.fixture
async def connect(supabase: Supabase) -> AsyncIterator[Connect]:
    clients = []

    def connected(*, follow_up: FollowUpRules | None = None, **settings: Any) -> SupabaseClient:
        defaults = {"client": "supabase", "url": supabase.url, "key": supabase.key}
        context = make_context(follow_up=follow_up)
        client = SupabaseClient("crm", SupabaseSettings.model_validate(defaults | settings), context)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        await client.aclose()


@pytest.fixture
def kv(supabase: Supabase) -> Supabase:
    """The project, and the mission's table in it, empty."""
    supabase.execute("truncate kv_store_d03ded2a")
    return supabase
