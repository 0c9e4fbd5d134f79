"""Fixtures that several tests share. Servers start once per run, and only if a test asks for them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import certifi
import hypothesis
import pytest

from relay.measurements import SharedMemory, attach
from tests.support.foreign_files import Foreign, make_foreign
from tests.support.postgres import Databases, cached_file, running_postgres
from tests.support.supabase import Supabase, running_supabase

# On a busy machine an example takes long, which says nothing about the code.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# A shell starts background jobs with SIGINT ignored, which commands inherit: Ctrl-C would do nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and the commands would wrap their lines


@pytest.fixture(scope="session", autouse=True)
def certificates() -> Iterator[None]:
    """Trust one certificate authority: httpx reads all for each client, which takes 20 ms of CPU time."""
    first = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
    file = cached_file("certificate.pem", "".join(first[:2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


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


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """A real PostgreSQL for ledgers."""
    with running_postgres() as server:
        yield Databases(server.dsn)


@pytest.fixture
def foreign_folder(tmp_path: Path) -> Foreign:
    """A folder of another user with a file in it."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "file").touch()
    return make_foreign(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new ledger. A test with this fixture runs once per database engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'relay.db'}"
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.ledger() as url:
            yield url


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    """Measurements of two processes, of which this one is the first. All are 0."""
    memory = SharedMemory(2)
    attach(memory, 0)
    yield memory
    attach(SharedMemory(1), 0)
