"""The command `relay cloudtalk-setup`. What it prints is built in `relay.operations.setup_guide`."""

import click

from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json
from relay.operations.setup_guide import Guide, build_guide, format_markdown
from relay.operations.setup_guide_texts import Lang


@click.command("cloudtalk-setup")
@click.option("--lang", default="en", show_default=True, type=click.Choice(["en", "es"]), help="Language.")
@json_option
@click.pass_obj
def command(context: Context, lang: Lang, *, as_json: bool) -> None:
    """Print what to enter in CloudTalk.

    Prints the URL and the events of the signed webhook, then the URL, the headers and the keys of each
    workflow, with your own address and token. The token is printed in clear text so that you can copy it.
    """
    guide = build_guide(context.settings(), lang)
    if as_json:
        print_json(guide)
        return
    print_guide(guide, lang)


def print_guide(guide: Guide, lang: Lang) -> None:
    """Print the guide as Markdown, and its warnings before it."""
    for warning in guide.warnings:
        echo(f"! {warning}\n", err=True)
    for line in format_markdown(guide, lang).split("\n"):
        print_line = click.echo if line.startswith("|") else echo  # the row of a table stays one line
        print_line(line)
