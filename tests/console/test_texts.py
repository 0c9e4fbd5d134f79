"""The texts of both languages, and the templates that show them."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any, Final

import msgspec
import pytest

from relay.console.texts import ENGLISH, SPANISH
from relay.operations.setup_guide_texts import TEXTS as GUIDE_TEXTS
from relay.operations.spanish import CATALOGUE
from tests.support.documents import ROOT

TEMPLATES = sorted((ROOT / "relay/console/templates").glob("*.html"))
SHOWN_ATTRIBUTES = {"title", "aria-label", "alt", "placeholder", "data-label", "value", "label"}
SAME_IN_BOTH = {"CloudTalk Relay", "Español", "English", "ES", "EN", "console", "[console]", "ms"}
"""Names, and what a person types as it is."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    else:
        yield path, value


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_have_each_text() -> None:
    english, spanish = dict(leaves(ENGLISH)), dict(leaves(SPANISH))
    assert english.keys() == spanish.keys()
    assert len(english) > 30
    assert not [path for path, text in (english | spanish).items() if not isinstance(text, str) or not text]


def test_both_languages_show_the_same_values() -> None:
    english, spanish = dict(leaves(ENGLISH)), dict(leaves(SPANISH))
    assert {p: fields_of(text) for p, text in english.items()} == {
        p: fields_of(text) for p, text in spanish.items()
    }


def test_sentences_are_translated() -> None:
    english, spanish = dict(leaves(ENGLISH)), dict(leaves(SPANISH))
    sentences = {path for path, text in english.items() if len(text.split()) > 3}
    assert not [path for path in sentences if english[path] == spanish[path]]


class ShownTexts(HTMLParser):
    """Collects what a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in SHOWN_ATTRIBUTES and value]

    def handle_data(self, data: str) -> None:
        self.found += data.splitlines()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_of_its_own(template: Path) -> None:
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", template.read_text(), flags=re.DOTALL)
    parser = ShownTexts()
    parser.feed(re.sub(r"<pre>.*?</pre>", "", source, flags=re.DOTALL))
    words = {text.strip() for text in parser.found if re.search(r"[^\W\d_]", text)}
    assert {word for word in words if not word.startswith("·")} <= SAME_IN_BOTH


def test_the_test_sees_a_text_in_a_template() -> None:
    parser = ShownTexts()
    parser.feed('<p title="one">two</p>')
    assert parser.found == ["one", "two"]


_FAMILIAR: Final = re.compile(
    r"\b(tu|tus|ti|tuy[oa]s?|abre|y añade|añade (?:un|estos|el nuevo)|añadas|corrígelo|copia el|elige"
    r"|elígel[ao]s|empieza por|envía el|envíal[ao]|escribas|guarda y|llama a|mira el|omite|pon|puedes"
    r"|reinicia|tienes|vuelve a mirar)\b",
    re.IGNORECASE,
)
"""Words of the familiar form of address, as texts for people would have them."""


def test_spanish_texts_address_people_formally() -> None:
    guide = (ROOT / "docs/es/cloudtalk-setup.md").read_text()
    texts = [guide, str(GUIDE_TEXTS["es"]), str(SPANISH), *CATALOGUE.values()]
    assert [found[0] for text in texts for found in _FAMILIAR.finditer(text)] == []
