"""The order of the pages in the site, with their titles in both languages.

A page is in Spanish if `docs/es` has a file of the same name. In the Spanish site the others lead to the
English page, and their title says so.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
ENGLISH_ONLY: Final = " (en inglés)"


class Language(NamedTuple):
    """A language of the site: `folder` is that of its pages, relative to the root of the site."""

    code: str
    name: str
    folder: str


ENGLISH: Final = Language("en", "English", "")
SPANISH: Final = Language("es", "Español", "es/")


class Entry(NamedTuple):
    """A page: its file in `docs/`, and its titles."""

    file: str
    english: str
    spanish: str


class Section(NamedTuple):
    """A heading of the navigation: what the reader wants to do."""

    english: str
    spanish: str
    entries: tuple[Entry, ...]


NAVIGATION: Final = (
    Section(
        "Try it",
        "Probarlo",
        (
            Entry("index.md", "From nothing to a call", "De cero a una llamada"),
            Entry("console.md", "The console", "La consola"),
        ),
    ),
    Section(
        "Connect it",
        "Conectarlo",
        (
            Entry("cloudtalk-setup.md", "CloudTalk", "CloudTalk"),
            Entry("supabase.md", "Supabase", "Supabase"),
            Entry("hubspot.md", "HubSpot", "HubSpot"),
            Entry("webhook.md", "Webhook", "Webhook"),
            Entry("recordings.md", "Recordings", "Grabaciones"),
            Entry("moving-over.md", "Moving over from the edge function", "Cambiar desde la función edge"),
        ),
    ),
    Section(
        "Run it",
        "Operarlo",
        (
            Entry("hosting.md", "Hosting", "Alojamiento"),
            Entry("what-to-do.md", "What to do when …", "Qué hacer cuando…"),
            Entry("operations.md", "Operations", "Operación"),
            Entry("settings.md", "Settings", "Configuración"),
            Entry("privacy.md", "Personal data", "Datos personales"),
            Entry("logs.md", "Logs", "Logs"),
            Entry("metrics.md", "Metrics", "Métricas"),
            Entry("capacity.md", "Capacity", "Capacidad"),
            Entry("security.md", "Security", "Seguridad"),
            Entry("report-a-vulnerability.md", "Report a vulnerability", "Avisar de una vulnerabilidad"),
        ),
    ),
    Section(
        "Understand and extend it",
        "Entenderlo y ampliarlo",
        (
            Entry("architecture.md", "Architecture", "Arquitectura"),
            Entry("write-a-client.md", "Write a client", "Escribir un cliente"),
            Entry("benchmarks.md", "Benchmarks", "Mediciones"),
            Entry("chaos.md", "Chaos tests", "Pruebas de fallos"),
            Entry("releasing.md", "Releasing", "Publicar una versión"),
            Entry("changelog.md", "Changes", "Cambios"),
        ),
    ),
)
DECISIONS: Final = ("Decisions", "Decisiones" + ENGLISH_ONLY)


def navigation(language: Language, pages: Path) -> list[dict[str, Any]]:
    """Return the navigation for Zensical. `pages`: the folder with the prepared pages of this language."""
    sections = [_section(section, language, pages) for section in NAVIGATION]
    [last] = sections[-1].values()
    last.append(_decisions(language, pages))
    return sections


def _section(section: Section, language: Language, pages: Path) -> dict[str, list[dict[str, Any]]]:
    title = section.english if language is ENGLISH else section.spanish
    return {title: [_entry(entry, language, pages) for entry in section.entries]}


def _entry(entry: Entry, language: Language, pages: Path) -> dict[str, str]:
    if language is ENGLISH:
        return {entry.english: entry.file}
    if (pages / entry.file).exists():
        return {entry.spanish: entry.file}
    return {entry.spanish + ENGLISH_ONLY: f"../{entry.file.removesuffix('.md')}.html"}


def _decisions(language: Language, pages: Path) -> dict[str, Any]:
    if language is not ENGLISH:
        return {DECISIONS[1]: "../decisions/index.html"}
    files = [
        "decisions/index.md",
        *sorted(f"decisions/{file.name}" for file in pages.glob("decisions/0*.md")),
    ]
    return {DECISIONS[0]: files}
