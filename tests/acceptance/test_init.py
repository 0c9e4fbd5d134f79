"""`relay init` on a real terminal and by options, for each CRM, up to the test call that arrives."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.settings import load
from tests.fakes.hubspot import TOKEN, running_hubspot
from tests.support.patience import PATIENCE
from tests.support.receiver import SECRET, Receiver
from tests.support.relay import eventually, running_relay
from tests.support.servers import free_port
from tests.support.supabase import SECRET_KEY, Supabase
from tests.support.terminal import COLUMNS, Terminal, running_in_terminal

PORT_FLAG = "--port"


def init(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal."""
    line = [sys.executable, "-m", "relay", "init", str(folder), PORT_FLAG, str(free_port()), *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        line, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
    )


def require_narrow(terminal: Terminal) -> None:
    """Fail if a line is too wide, but for one word, the row of a table and a command to copy."""
    lines = [line for line in terminal.lines if len(line) > COLUMNS and " " in line.strip()]
    assert [line for line in lines if not line.startswith("|") and f"  {sys.executable} " not in line] == []


@pytest.mark.parametrize(
    ("language", "questions", "steps", "last"),
    [
        (
            "en_GB.UTF-8",
            [
                ("Which CRM gets the calls?", ""),
                ("Number [1]: ", "9"),
                ("expected a number of the list", ""),
                ("Number [1]: ", "1"),
                ("Public URL []: ", "calls.example.com"),
                ("expected an address", ""),
                ("Public URL []: ", "https://calls.example.com"),
                ("Time zone of your CloudTalk account [Europe/Madrid]: ", "Atlantic/Canary"),
                ("Country of numbers without a country code [ES]: ", "pt"),
                ("Send a test call", ""),
                ("(yes/no) [yes]: ", "yes"),
            ],
            ["ok       the call is in the ledger, started and ended", "ok       crm: delivered after "],
            "A call goes through the relay into the CRM.",
        ),
        (
            "es_ES.UTF-8",
            [
                ("¿Qué CRM recibe las llamadas?", ""),
                ("Número [1]: ", "local"),
                ("URL pública []: ", "https://llamadas.example.com"),
                ("Zona horaria de su cuenta de CloudTalk [Europe/Madrid]: ", "Atlantic/Canary"),
                ("País de los números sin prefijo internacional [ES]: ", "pt"),
                ("¿Enviar una llamada de prueba", ""),
                ("(sí/no) [sí]: ", "si"),
            ],
            ["bien     la llamada está en el ledger, iniciada y terminada", "bien     crm: entregada en "],
            "Una llamada llega al CRM a través del relay.",
        ),
    ],
    ids=["english", "spanish"],
)
def test_a_person_answers_and_a_test_call_arrives(
    tmp_path: Path, language: str, questions: list[tuple[str, str]], steps: list[str], last: str
) -> None:
    environment = {"LANG": language, "TZ": "Europe/Madrid"}
    arguments = ("init", "my-relay", PORT_FLAG, str(free_port()))
    with running_in_terminal(tmp_path, *arguments, environment=environment) as terminal:
        for question, answer in questions:
            terminal.expect(question)
            if question.endswith(": "):
                terminal.type(answer)
        for step in steps:
            terminal.expect(step)
        terminal.expect(last)
        assert terminal.wait() == 0
        require_narrow(terminal)
    settings = load(tmp_path / "my-relay" / "settings.toml", {})
    assert (settings.cloudtalk.timezone, settings.cloudtalk.default_region) == ("Atlantic/Canary", "PT")
    # On a terminal the guide has the token, to be copied.
    token = settings.cloudtalk.tokens[0].get_secret_value()
    assert f"| `Authorization` | `Bearer {token}` |" in terminal.text.replace("\n", "")


@pytest.fixture
def project(supabase_project: Supabase) -> Iterator[Supabase]:
    """The project that tests share, with empty tables."""
    supabase_project.execute("truncate calls; truncate kv_store_d03ded2a")
    yield supabase_project
    supabase_project.execute("drop table if exists first_calls")


def test_a_person_runs_the_sql_of_supabase_and_a_test_call_arrives(tmp_path: Path, project: Supabase) -> None:
    arguments = ("init", ".", PORT_FLAG, str(free_port()), "--table", "first_calls", "--language", "es")
    with running_in_terminal(tmp_path, *arguments) as terminal:
        terminal.expect("Número [1]: ")
        terminal.type("2")
        terminal.expect("(Project URL): ")
        terminal.type(project.url)
        terminal.expect("Clave secreta (sb_secret_…): ")
        terminal.type(SECRET_KEY)
        for question in ("URL pública []: ", "]: ", "]: "):
            terminal.expect(question)
            terminal.type()
        terminal.expect("¿Preparar supabase ahora? (sí/no) [sí]: ")
        terminal.type()
        terminal.expect("El SQL que lo crea está en supabase.sql.")
        terminal.expect("  psql 'postgresql://…' -f supabase.sql")
        terminal.expect("¿Lo ha ejecutado?")
        assert "create table" not in terminal.text.lower()
        project.execute((tmp_path / "supabase.sql").read_text())
        project.wait_for("first_calls")
        terminal.expect("(sí/no) [sí]: ")
        terminal.type("sí")
        terminal.expect("¿Enviar una llamada de prueba")
        terminal.expect("[sí]: ")
        terminal.type()
        terminal.expect("bien     supabase: entregada en ")
        terminal.expect("bien     supabase: la llamada de prueba se ha eliminado")
        assert terminal.wait() == 0
        require_narrow(terminal)
        assert SECRET_KEY not in terminal.text
    assert project.rows("first_calls") == []
    assert (tmp_path / "secrets/supabase-key").read_text() == f"{SECRET_KEY}\n"


@pytest.mark.parametrize("moment", ["question", "overwrite"])
def test_ctrl_c_changes_nothing(tmp_path: Path, moment: str) -> None:
    if moment == "overwrite":
        (tmp_path / "settings.toml").write_text("# mine\n")
    with running_in_terminal(tmp_path, "init") as terminal:
        if moment == "overwrite":
            terminal.expect("Replace it? (yes/no) [no]: ")
        else:
            terminal.expect("Number [1]: ")
            terminal.type("1")
            terminal.expect("Public URL []: ")
        assert terminal.interrupt() == 130
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == (
        {"settings.toml": "# mine\n"} if moment == "overwrite" else {}
    )


def test_the_key_value_table_of_supabase_gets_the_test_call_by_options(
    tmp_path: Path, project: Supabase
) -> None:
    done = init(tmp_path, "--client", "supabase-kv", "--url", project.url, RELAY_INIT_KEY=SECRET_KEY)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "supabase: delivered after " in done.stdout
    assert project.values() == {}


def test_the_properties_of_hubspot_are_created_and_the_test_call_arrives(tmp_path: Path) -> None:
    with running_hubspot() as running:
        done = init(tmp_path, "--client", "hubspot", "--url", running.url, RELAY_INIT_KEY=TOKEN)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "hubspot: delivered after " in done.stdout
    assert TOKEN not in done.stdout


def test_a_signed_webhook_gets_the_test_call(tmp_path: Path) -> None:
    receiver = Receiver()
    try:
        url = f"{receiver.url}/calls"
        done = init(tmp_path, "--client", "webhook", "--url", url, RELAY_INIT_KEY=SECRET)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert len(receiver.seen) >= 2
        assert receiver.calls == {}
    finally:
        receiver.close()


def test_a_relay_that_runs_gets_the_test_call_and_another_program_at_the_port_is_named(
    tmp_path: Path,
) -> None:
    init(tmp_path, "--yes", "--no-test-call")
    text = (tmp_path / "settings.toml").read_text()
    port = str(load(tmp_path / "settings.toml", {}).server.port)
    with running_relay(tmp_path, text):
        running = init(tmp_path, "--yes", "--force", PORT_FLAG, port)
    assert (running.returncode, running.stderr) == (0, "")
    assert "a relay is started for it" not in running.stdout
    receiver = Receiver()
    try:
        taken = init(tmp_path, "--yes", "--force", PORT_FLAG, receiver.url.rpartition(":")[2])
    finally:
        receiver.close()
    assert taken.returncode == 1
    assert "the relay did not start:" in taken.stdout
    assert "Address already in use; stop the program that uses it" in taken.stdout


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_commands_at_the_end_can_be_pasted(tmp_path: Path, language: str) -> None:
    """A stranger without a public URL: the relay, the request and the list, as they are printed."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    arguments = ("init", "my relay", PORT_FLAG, str(free_port()), "--language", language, "--yes")
    with running_in_terminal(folder, *arguments) as terminal:
        assert terminal.wait() == 0
        require_narrow(terminal)
    last = terminal.text.partition("serve\n")[2]
    request = last[last.index("  curl ") : last.index("65}}'") + len("65}}'")]
    lines = [line.strip() for line in terminal.text.split("\n")]
    serve, show = (next(line for line in lines if line.endswith(end)) for end in (" serve", " calls list"))

    def shell(command: str) -> str:
        done = subprocess.run(  # noqa: S603 - what the command printed
            ["/bin/bash", "-c", command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with subprocess.Popen(  # noqa: S603 - what the command printed
        ["/bin/bash", "-c", f"exec {serve}"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any('"server.ready"' in line for line in process.stdout)
            assert '"success":true' in shell(request)
            assert (
                eventually(lambda: shell(show), lambda found: "completed" in found).count("Ana Ejemplo") == 1
            )
        finally:
            process.terminate()
