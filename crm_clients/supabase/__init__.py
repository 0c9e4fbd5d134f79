"""Supabase: the calls of a team in a table of its own project, through its REST API (PostgREST)."""

from crm_clients.supabase.client import SupabaseClient
from crm_clients.supabase.settings import SupabaseSettings

__all__ = ["SupabaseClient", "SupabaseSettings"]
