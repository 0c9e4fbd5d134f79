"""Copy the documents into a folder that has the structure of the site.

`README.md` becomes the first page. A link to a file of the source code leads to a copy of the
file, and a link to a folder to a page that lists its files, so that the site works without the repository.
"""

import shutil
from pathlib import Path
from typing import Final

from website.markdown import prepare, relative, resolve
from website.navigation import ENGLISH, ROOT, SPANISH, Language

RENAMED: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "report-a-vulnerability.md",
    "docs/es/README.md": "es/index.md",
    "docs/decisions": "decisions/index.md",
}
"""Where a document of the repository is in the site, unless it is below `docs/`."""

FILES: Final = "files"
"""The folder of the site with copies of source files."""


class Stage:
    """Writes the pages of one language to `folder`, and the copies of source files to `files`."""

    def __init__(self, language: Language, folder: Path, files: Path) -> None:
        self._language = language
        self._folder = folder
        self._files = files

    def write(self) -> None:
        """Write all pages, images and other files of the language."""
        for source in documents(self._language):
            self._write_page(source)
        if self._language is ENGLISH:
            self._write("decisions/index.md", _list_of_decisions())
            for name in ("images", "webhook.schema.json"):
                _copy(ROOT / "docs" / name, self._folder / name)

    def _write_page(self, source: str) -> None:
        text = (ROOT / source).read_text()
        self._write(
            self._own(place(source) or source), prepare(text, lambda target: self._link(source, target))
        )

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _own(self, name: str) -> str:
        return name.removeprefix(self._language.folder)

    def _link(self, source: str, target: str) -> str:
        """Return where a link leads in the site. Raises `FileNotFoundError` if it leads to no file."""
        found = resolve(source, target)
        if not (ROOT / found).exists():
            raise FileNotFoundError(f"{source}: the link to {target} leads to no file")
        name = place(found)
        if name is None:
            name = self._copy_source(found)
        elif not self._is_own(name):
            name = f"{name.removesuffix('.md')}.html" if name.endswith(".md") else name
        return relative(place(source) or source, name)

    def _is_own(self, name: str) -> bool:
        """Return whether a page belongs to this language: Zensical then checks the link and its anchor."""
        return name.endswith(".md") and name.startswith("es/") == (self._language is SPANISH)

    def _copy_source(self, name: str) -> str:
        """Copy a file or a folder of the source code, and return its page or file in the site."""
        source = ROOT / name
        if not source.is_dir():
            _copy(source, self._files / name)
            return f"{FILES}/{name}"
        _copy(source, self._files / name)
        listing = self._files / name / "index.html"
        listing.write_text(_list_of_files(name, sorted(p for p in source.rglob("*") if p.is_file())))
        return f"{FILES}/{name}/index.html"


def documents(language: Language) -> list[str]:
    """List the Markdown files of a language, as paths from the root of the repository."""
    pages = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))
    spanish = [page for page in pages if page.startswith("docs/es/")]
    if language is SPANISH:
        return spanish
    return ["README.md", "CHANGELOG.md", "SECURITY.md", *(page for page in pages if page not in spanish)]


def place(name: str) -> str | None:
    """Return where the site has a document or another file of `docs/`; None for source files."""
    if name in RENAMED:
        return RENAMED[name]
    return name.removeprefix("docs/") if name.startswith("docs/") else None


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def _list_of_decisions() -> str:
    files = sorted((ROOT / "docs/decisions").glob("0*.md"))
    titles = [(file.name, file.read_text().partition("\n")[0].removeprefix("# ")) for file in files]
    items = "\n".join(f"- [{title}]({name})" for name, title in titles)
    return f"# Decisions\n\nThe reasons behind the design, in the order in which they were made.\n\n{items}\n"


def _list_of_files(folder: str, files: list[Path]) -> str:
    names = [file.relative_to(ROOT / folder).as_posix() for file in files]
    items = "".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    )
    return f"{head}<title>{folder}</title><h1>{folder}</h1><ul>{items}</ul></html>\n"
