"""The style sheet, the script and the icon: files of the package, the same for everybody."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay.console.templating import STATIC, static_version

_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files that exist, with their media types."""

_FOR_LONG: Final = "public, max-age=31536000, immutable"


async def static_file(request: Request) -> Response:
    """Return a static file. A URL with its present version may be kept for long. Raises `HTTPException`."""
    name = request.path_params["name"]
    if name not in _TYPES:
        raise HTTPException(404)
    is_current = request.query_params.get("v") == static_version(name)
    return Response(
        (STATIC / name).read_bytes(),
        media_type=_TYPES[name],
        headers={"cache-control": _FOR_LONG if is_current else "no-cache"},
    )
