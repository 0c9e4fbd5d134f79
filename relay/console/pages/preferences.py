"""The switches for language and colours. Both are cookies of the browser; the relay stores nothing."""

from starlette.responses import Response

from relay.console.texts import TEXTS
from relay.console.visit import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, Visit


async def change(visit: Visit) -> Response:
    """Remember the language or the colours that a person chose, and show the same page again."""
    response = visit.redirect_back(visit.field("next"))
    if (language := visit.field("language")) in TEXTS:
        visit.remember(response, LANGUAGE_COOKIE, language)
    if (theme := visit.field("theme")) in THEMES:
        visit.remember(response, THEME_COOKIE, theme)
    return response
