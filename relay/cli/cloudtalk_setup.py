"""`relay cloudtalk-setup`: what to type into CloudTalk."""

import click

from relay.cli.main import Context
from relay.cli.output import as_json, print_json
from relay.cli.setup_guide import Lang, cloudtalk_setup, render


@click.command("cloudtalk-setup")
@click.option("--lang", default="en", show_default=True, type=click.Choice(["en", "es"]), help="Language.")
@as_json
@click.pass_obj
def command(context: Context, lang: Lang, *, wants_json: bool) -> None:
    """Print what to type into CloudTalk.

    URLs, headers and keys, for your own address and token.

    The token is shown in clear, since it is to be copied.
    """
    setup = cloudtalk_setup(context.settings(), lang)
    if wants_json:
        print_json(setup)
        return
    for warning in setup.warnings:
        click.secho(f"! {warning}\n", err=True, bold=True)
    click.echo(render(setup, lang))
