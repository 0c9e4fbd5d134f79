"""The command `relay init`."""

import os
import sys
from pathlib import Path
from typing import IO, Any

import click

from relay.app import hide_secrets
from relay.cli.demo import handle_signals
from relay.cli.init import texts
from relay.cli.init.answers import Answers, Asker, Given, collect
from relay.cli.init.example import example_request
from relay.cli.init.files import LOCAL_SETTINGS, SETTINGS, is_public, write_files
from relay.cli.init.first_steps import FirstSteps
from relay.cli.init.settings_text import CONSOLE_TOKENS, TOKENS
from relay.cli.init.system import find_free_port, find_language, find_timezone
from relay.cli.main import BadSettings, Context
from relay.cli.output import echo
from relay.cli.program import program
from relay.operations.languages import Language
from relay.settings import Settings, SettingsError, load

_DEFAULT_PORT = 8080


@click.command("init", context_settings={"auto_envvar_prefix": "RELAY_INIT"})
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--client", help="CRM: local, supabase, supabase-kv, hubspot or webhook.")
@click.option("--url", help="Address of the Supabase project, of the webhook, or of HubSpot's API.")
@click.option(
    "--key-file",
    type=click.File(encoding="utf-8"),
    help="File with the CRM's key, or - for standard input. Or the key itself in RELAY_INIT_KEY.",
)
@click.option("--table", help="Supabase: the table, if it has another name.")
@click.option("--public-url", help="URL at which CloudTalk reaches the relay.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8080, if free]")
@click.option("--timezone", help="Time zone of times without an offset. Default: that of this machine.")
@click.option("--region", help="Country of numbers without a country code. Default: that of the time zone.")
@click.option("--language", type=click.Choice(["en", "es"]), help="Default: that of this machine.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take the defaults.")
@click.option("--force", is_flag=True, help="Replace a settings file that exists. Its tokens stay.")
@click.option("--setup/--no-setup", default=True, help="Whether to set up the CRM if it lacks something.")
@click.option("--test-call/--no-test-call", default=True, help="Whether to send a test call at the end.")
@click.pass_obj
def command(
    context: Context,
    /,
    folder: Path,
    key_file: IO[str] | None,
    port: int | None,
    language: str | None,
    **options: Any,
) -> None:
    """Write the settings of a relay to FOLDER, and try them.

    Asks for the CRM and its key, the public URL, the time zone and the country, and writes settings.toml with
    its secrets beside it. Then it checks the CRM, offers to set it up, prints what to enter in CloudTalk, and
    sends a test call through the relay into the CRM, which is removed again.

    Every answer can also be given by its option, or by a variable such as RELAY_INIT_CLIENT. Without a
    terminal nothing is asked. Exit code 1 if the settings are written, but the check or the test call failed;
    2 if an answer is missing or wrong: then nothing is written.
    """
    chosen = Language(language) if language else find_language(os.environ)
    asker = Asker(chosen, is_interactive=not options["yes"] and sys.stdin.isatty() and sys.stdout.isatty())
    if context.path is not None:
        raise click.UsageError(texts.NAME_FOLDER.read(chosen))
    folder = folder.expanduser()
    _confirm_overwrite(asker, folder / SETTINGS, force=options["force"])
    if asker.is_interactive:
        asker.say(texts.WELCOME, folder=folder.resolve())
        echo()
    answers = collect(
        asker,
        _given(options, key_file),
        port=port or _choose_port(folder),
        timezone=find_timezone(os.environ),
        takes_default_crm=options["yes"],
    )
    settings = _write(asker, folder, answers, names_port=port is None)
    if not _is_found(folder):
        program.use_settings(folder / SETTINGS)
    is_good = _try_out(asker, answers, settings, options)
    _say_how_to_run(asker, answers, folder)
    sys.exit(0 if is_good else 1)


def _confirm_overwrite(asker: Asker, file: Path, *, force: bool) -> None:
    if force or not file.exists():
        return
    if not asker.is_interactive:
        raise click.UsageError(texts.EXISTS.fill(file=file).read(asker.language))
    if not asker.confirm(texts.ASK_OVERWRITE, default=False, file=file):
        asker.say(texts.KEPT)
        sys.exit(1)


def _given(options: dict[str, Any], key_file: IO[str] | None) -> Given:
    key = key_file.read() if key_file else os.environ.get("RELAY_INIT_KEY")
    named = {name: options[name] for name in Given.__struct_fields__ if name in options}
    return Given(**named, key=key)


def _choose_port(folder: Path) -> int:
    """Return the port of the settings that are replaced, whose relay may run, or else a free one."""
    try:
        return load(folder / SETTINGS).server.port or _DEFAULT_PORT
    except SettingsError:
        return find_free_port()


def _write(asker: Asker, folder: Path, answers: Answers, *, names_port: bool) -> Settings:
    """Write the files, say which, and load them."""
    kept = [folder / name for name in (TOKENS,) if (folder / name).exists()]
    try:
        written = write_files(folder, answers)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise click.ClickException(texts.NOT_WRITTEN.fill(reason=reason).read(asker.language)) from error
    echo()
    asker.say(texts.WRITTEN)
    for file in written:
        echo(f"  {file}")
    for file in kept:
        asker.say(texts.TOKEN_KEPT, file=file)
    if (folder / LOCAL_SETTINGS).exists():
        asker.say(texts.LOCAL_OVERRIDES, file=folder / LOCAL_SETTINGS)
    if names_port and answers.port != _DEFAULT_PORT:
        asker.say(texts.OTHER_PORT, port=answers.port)
    echo()
    try:
        settings = load(folder.resolve() / SETTINGS)
    except SettingsError as error:  # of settings.local.toml or of a variable
        raise BadSettings(str(error)) from error
    hide_secrets(settings)
    return settings


def _try_out(asker: Asker, answers: Answers, settings: Settings, options: dict[str, Any]) -> bool:
    """Check, set up, print the guide and send the test call; return whether all of it is good."""
    steps = FirstSteps(asker, answers, settings)
    is_good = steps.check_and_set_up(sets_up=options["setup"])
    steps.show_cloudtalk(shows_token=sys.stdout.isatty())
    echo()
    if not options["test_call"]:
        return is_good
    if not is_good:
        asker.say(texts.NO_TEST_CALL)
        return False
    if not asker.confirm(texts.ASK_TEST_CALL):
        return True
    handle_signals()
    has_arrived = steps.send_test_call()
    asker.say(texts.ARRIVED if has_arrived else texts.TEST_FAILED)
    return has_arrived


def _is_found(folder: Path) -> bool:
    """Whether commands of this shell find the settings in this folder without an option."""
    return folder.resolve() == Path.cwd() and "RELAY_SETTINGS" not in os.environ


def _say_how_to_run(asker: Asker, answers: Answers, folder: Path) -> None:
    here = f"http://127.0.0.1:{answers.port}"
    echo()
    asker.say(texts.RUN)
    click.echo(f"  {program.line('serve')}")  # never wrapped, so that it can be copied
    if not is_public(answers):
        asker.say(texts.TRY_OUT)
        click.echo(example_request(here, folder))
    asker.say(texts.SEE)
    click.echo(f"  {program.line('calls list')}")
    click.echo(f"  {program.line('status')}")
    echo(f"  {answers.public_url or here}/console")
    if is_public(answers):
        asker.say(texts.SIGN_IN, file=folder / CONSOLE_TOKENS)
        asker.say(texts.CLOUDTALK_AGAIN)
        asker.say(texts.TEST_PUBLIC)
    asker.say(texts.FOR_GOOD)
