"""The answers of `relay init`: from an option or its variable, from a person, or the default."""

from collections.abc import Callable
from typing import Final

import click
import msgspec

from relay.cli.init import texts
from relay.cli.init.crms import BY_NAME, CRMS, Crm, Key
from relay.cli.init.system import find_region
from relay.cli.output import echo
from relay.operations.languages import Language, Text
from relay.settings import validators

_YES: Final = frozenset({"yes", "y", "sí", "si", "s"})
_NO: Final = frozenset({"no", "n"})


class Answers(msgspec.Struct, frozen=True):
    """Everything that the settings need. None: there is none, or the default is meant."""

    language: Language
    crm: Crm
    url: str | None
    key: str | None
    table: str | None
    public_url: str | None
    port: int
    timezone: str
    region: str


class Given(msgspec.Struct, frozen=True):
    """What the options and the variables of the environment say; None where they say nothing."""

    client: str | None = None
    url: str | None = None
    key: str | None = None
    table: str | None = None
    public_url: str | None = None
    timezone: str | None = None
    region: str | None = None


class Question(msgspec.Struct, frozen=True):
    """One question. `parse` returns the value of an answer, or None if it is not as `expected`.

    Without a `default` the answer is required.
    """

    option: str
    text: Text
    expected: Text
    parse: Callable[[str], str | None]
    default: str | None = None
    is_hidden: bool = False


class Asker:
    """Asks a person, or takes defaults if there is none to ask."""

    def __init__(self, language: Language, *, is_interactive: bool) -> None:
        self.language = language
        self.is_interactive = is_interactive

    def say(self, text: Text, **fields: object) -> None:
        """Print a text in the language of the person."""
        echo(text.fill(**fields).read(self.language))

    def answer(self, question: Question, given: str | None) -> str:
        """Return the answer to a question.

        Raises `click.UsageError`, which names the option, if there is no answer or a wrong one.
        """
        if given is not None:
            return self._parse_given(question, given)
        if self.is_interactive:
            return self._ask(question)
        if question.default is None:
            asked = question.text.read(self.language)
            raise self._usage(texts.MISSING, question=asked, option=question.option)
        return question.default

    def confirm(self, text: Text, *, default: bool = True, **fields: object) -> bool:
        """Ask for yes or no. Without a person it is the default."""
        if not self.is_interactive:
            return default
        question = Question(
            "",
            text.fill(**fields),
            texts.EXPECTED_YES_OR_NO,
            _parse_yes_or_no,
            (texts.YES if default else texts.NO).read(self.language),
        )
        return self._ask(question) == "yes"

    def _parse_given(self, question: Question, given: str) -> str:
        parsed = question.parse(given.strip())
        if parsed is None:
            raise self._usage(texts.INVALID, option=question.option, expected=question.expected)
        return parsed

    def _ask(self, question: Question) -> str:
        shown = None if question.is_hidden else question.default
        if question.is_hidden:
            self.say(Text("({hint})", "({hint})"), hint=texts.HIDDEN)
        while True:
            entered = click.prompt(
                question.text.read(self.language),
                default="" if shown is None else shown,
                show_default=shown is not None,
                hide_input=question.is_hidden,
            )
            parsed = question.parse(str(entered).strip())
            if parsed is not None:
                return parsed
            self.say(question.expected)

    def _usage(self, text: Text, **fields: object) -> click.UsageError:
        return click.UsageError(text.fill(**fields).read(self.language))


def collect(asker: Asker, given: Given, *, port: int, timezone: str, takes_default_crm: bool) -> Answers:
    """Return all answers. `timezone`: that of the machine."""
    crm = _answer_crm(asker, given.client, takes_default=takes_default_crm)
    url = _answer_url(asker, crm, given.url)
    key = _answer_key(asker, crm.key, crm, given.key) if crm.key else None
    public_url = _answer_public_url(asker, given.public_url)
    zone = asker.answer(
        Question("--timezone", texts.ASK_TIMEZONE, texts.EXPECTED_TIMEZONE, _parse_timezone, timezone),
        given.timezone,
    )
    region = asker.answer(
        Question("--region", texts.ASK_REGION, texts.EXPECTED_REGION, _parse_region, find_region(zone)),
        given.region,
    )
    return Answers(asker.language, crm, url, key, given.table, public_url, port, zone, region)


def _answer_crm(asker: Asker, given: str | None, *, takes_default: bool) -> Crm:
    if asker.is_interactive and given is None:
        asker.say(texts.LIST_CRMS)
        for number, crm in enumerate(CRMS, 1):
            asker.say(Text("  {number}  {label}", "  {number}  {label}"), number=number, label=crm.label)
    expected = texts.EXPECTED_CRM.fill(names=", ".join(BY_NAME))
    default = "1" if asker.is_interactive else CRMS[0].name if takes_default else None
    text = texts.ASK_CRM if asker.is_interactive else texts.LIST_CRMS
    return BY_NAME[asker.answer(Question("--client", text, expected, _parse_crm, default), given)]


def _answer_url(asker: Asker, crm: Crm, given: str | None) -> str | None:
    if not crm.url_setting or (crm.url_question is None and given is None):
        return None
    question = Question(
        "--url",
        crm.url_question or crm.url_expected,
        crm.url_expected,
        lambda value: value if crm.is_valid(crm.url_setting, value) else None,
    )
    return asker.answer(question, given)


def _answer_key(asker: Asker, key: Key, crm: Crm, given: str | None) -> str | None:
    """Return the key of the CRM; None if one is to be created."""

    def parse(value: str) -> str | None:
        is_created = key.can_be_created and not value
        return value if is_created or crm.is_valid(key.setting, value) else None

    default = "" if key.can_be_created else None
    option = "--key-file (RELAY_INIT_KEY)"
    return asker.answer(Question(option, key.question, key.expected, parse, default, True), given) or None


def _answer_public_url(asker: Asker, given: str | None) -> str | None:
    if asker.is_interactive and given is None:
        asker.say(texts.EXPLAIN_PUBLIC_URL)
    question = Question(
        "--public-url", texts.ASK_PUBLIC_URL, texts.EXPECTED_PUBLIC_URL, _parse_public_url, ""
    )
    return asker.answer(question, given) or None


# --- parsers: the value, or None if the answer is wrong --------------------------------------------


def _parse_yes_or_no(text: str) -> str | None:
    word = text.lower()
    return "yes" if word in _YES else "no" if word in _NO else None


def _parse_crm(text: str) -> str | None:
    if text.isdecimal() and 0 < int(text) <= len(CRMS):
        return CRMS[int(text) - 1].name
    return text if text in BY_NAME else None


def _parse_public_url(text: str) -> str | None:
    return _checked(validators.public_url, text.rstrip("/")) if text else ""


def _parse_timezone(text: str) -> str | None:
    return _checked(validators.timezone, text) if text else None


def _parse_region(text: str) -> str | None:
    return _checked(validators.region, text.upper())


def _checked(validate: Callable[[str], str], value: str) -> str | None:
    try:
        return validate(value)
    except ValueError:
        return None
