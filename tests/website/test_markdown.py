"""website/markdown.py: what Python-Markdown needs differently from GitHub."""

import pytest

from website.markdown import prepare, relative, resolve


def same(link: str) -> str:
    return link


def test_a_block_in_a_list_item_is_indented_by_four_spaces() -> None:
    text = "1. one\n\n   ```sh\n   make\n     more\n   ```\n\n- two\n  more\n\n  text\n\nafter\n\n   x"
    assert prepare(text, same) == (
        "1. one\n\n    ```sh\n    make\n      more\n    ```\n\n- two\n    more\n\n    text\n\nafter\n\n   x"
    )


def test_a_list_item_after_a_block_begins_a_block() -> None:
    assert prepare("1. a\n\n   b\n2. c\n3. d\n", same) == "1. a\n\n    b\n\n2. c\n3. d\n"


def test_code_that_looks_like_a_list_stays() -> None:
    text = "```\n- a\n  b\n```\n"
    assert prepare(text, same) == text


def test_links_to_files_are_rewritten_with_their_anchors() -> None:
    text = "[a](docs/a.md#part) ![b](b.png) [c](https://c.es/c) [d](#d)\n\n```\n[e](e.md)\n```\n[f](f.md)"
    assert prepare(text, str.upper) == (
        "[a](DOCS/A.MD#part) ![b](B.PNG) [c](https://c.es/c) [d](#d)\n\n```\n[e](e.md)\n```\n[f](F.MD)"
    )


@pytest.mark.parametrize(
    ("page", "target", "found"),
    [
        ("README.md", "docs/a.md", "docs/a.md"),
        ("docs/a.md", "../deploy", "deploy"),
        ("docs/es/a.md", "../b.md", "docs/b.md"),
    ],
)
def test_a_link_is_resolved_against_the_folder_of_its_page(page: str, target: str, found: str) -> None:
    assert resolve(page, target) == found


@pytest.mark.parametrize(
    ("page", "target", "link"),
    [
        ("index.md", "a.md", "a.md"),
        ("es/index.md", "a.html", "../a.html"),
        ("decisions/1.md", "a.md", "../a.md"),
    ],
)
def test_a_link_is_relative_to_its_page(page: str, target: str, link: str) -> None:
    assert relative(page, target) == link
