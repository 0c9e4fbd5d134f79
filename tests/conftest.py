"""Fixtures that several tests share. Servers start once per run, and only if a test asks for them."""

from collections.abc import Iterator

import pytest

from tests.support.supabase import Supabase, running_supabase


@pytest.fixture(scope="session")
def supabase_project() -> Iterator[Supabase]:
    with running_supabase() as project:
        yield project


@pytest.fixture
def supabase(supabase_project: Supabase) -> Supabase:
    """A real PostgREST on a real PostgreSQL, with an empty table `calls` and an empty request log."""
    supabase_project.execute("truncate calls")
    supabase_project.log.clear()
    return supabase_project
