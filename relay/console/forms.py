"""The body of a POST: a small form."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

_MAX_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 1_000

Form = dict[str, list[str]]
"""The values of each field, in the order of the page."""


class InvalidForm(Exception):
    """The body is too large, or is no form."""


async def read_form(request: Request) -> Form:
    """Return the fields of a form. Raises `InvalidForm`."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > _MAX_BYTES:
            raise InvalidForm("the form is too large")
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidForm("the body is no form") from error
    form: Form = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form
