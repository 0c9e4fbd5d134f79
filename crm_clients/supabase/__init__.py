"""The client for Supabase. It writes calls to a table of the team's project through the REST API (PostgREST).

Import only the two names below; the modules are internal.
"""

from crm_clients.supabase.client import SupabaseClient
from crm_clients.supabase.settings import SupabaseSettings

__all__ = ["SupabaseClient", "SupabaseSettings"]
