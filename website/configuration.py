"""The configuration of Zensical, which builds the site."""

from pathlib import Path
from typing import Any, Final

from website.navigation import ENGLISH, SPANISH, Language, navigation

THEME: Final = Path(__file__).parent / "theme"
DESCRIPTIONS: Final = {
    "en": "One record per CloudTalk call in your CRM, always current",
    "es": "Un registro por llamada de CloudTalk en su CRM, siempre al día",
}
SCHEMES: Final = {
    "en": ("Dark colours", "Light colours"),
    "es": ("Colores oscuros", "Colores claros"),
}


def configuration(language: Language, pages: Path) -> dict[str, Any]:
    """Return the settings of the site in one language: `pages`: its prepared pages."""
    up = "../" * language.folder.count("/")  # to the root of the site
    return {
        "site_name": "CloudTalk Relay",
        "site_description": DESCRIPTIONS[language.code],
        "docs_dir": pages.name,
        "site_dir": f"site-{language.code}",
        "use_directory_urls": False,  # a page is a file, to which the other language can link
        "strict": True,
        "theme": {
            "language": language.code,
            "custom_dir": str(THEME),
            "font": False,  # the fonts of the reader's system: nothing is loaded from other hosts
            "features": [
                "content.code.copy",
                "navigation.sections",
                "navigation.top",
                "navigation.footer",
                "search.highlight",
                "toc.follow",
            ],
            "palette": _palette(language),
        },
        "extra_css": ["stylesheets/relay.css"],
        "plugins": ["search"],
        "markdown_extensions": [
            "tables",
            "attr_list",
            {"toc": {"permalink": True, "slugify": {"kwds": {"case": "lower"}}}},
            "pymdownx.superfences",
            {"pymdownx.highlight": {"anchor_linenums": False}},
        ],
        "extra": {
            "generator": False,
            "alternate": [
                {"name": each.name, "link": f"{up}{each.folder}index.html", "lang": each.code}
                for each in (ENGLISH, SPANISH)
            ],
            "folder": language.folder,
            "translated": sorted(path.name for path in (pages.parent / "es").glob("*.md")),
        },
        "nav": navigation(language, pages),
    }


def _palette(language: Language) -> list[dict[str, Any]]:
    to_dark, to_light = SCHEMES[language.code]
    light = {"scheme": "default", "toggle": {"icon": "lucide/moon", "name": to_dark}}
    dark = {"scheme": "slate", "toggle": {"icon": "lucide/sun", "name": to_light}}
    return [
        {"media": "(prefers-color-scheme: light)", **light},
        {"media": "(prefers-color-scheme: dark)", **dark},
    ]
