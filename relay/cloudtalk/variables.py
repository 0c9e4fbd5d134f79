"""Template variables that the sender did not replace, for the message about a body without an id.

A person who builds a workflow must choose each variable from CloudTalk's picker: a typed `{{call_uuid}}` is
sent as this text.
"""

from collections.abc import Mapping
from typing import Any, Final

from relay.cloudtalk.errors import InvalidValue, UnrenderedTemplate
from relay.cloudtalk.fields import keys_of
from relay.cloudtalk.flatten import normalize_key
from relay.cloudtalk.values import parse_id, parse_text

_ID_KEYS: Final = keys_of({"call_id", "call_uuid"}) | {"id"}

_MAX_SHOWN: Final = 5
_LONGEST_SHOWN: Final = 60


def find_variables(values: Mapping[str, Any]) -> list[str]:
    """Return the unrendered variables among the values of these keys, each once."""
    found = (_find_variable(key, value) for key, value in values.items())
    return list(dict.fromkeys(variable for variable in found if variable is not None))


def explain_variables(variables: list[str]) -> str:
    """Return the end of an error message; empty if there are no variables."""
    if not variables:
        return ""
    shown = ", ".join(variable[:_LONGEST_SHOWN] for variable in variables[:_MAX_SHOWN])
    if len(variables) == 1:
        return f"; {shown} was typed; choose it from the picker in CloudTalk"
    others = len(variables) - _MAX_SHOWN
    more = f" and {others} more" if others > 0 else ""
    return f"; each of {shown}{more} was typed; choose it from the picker in CloudTalk"


def _find_variable(key: str, value: Any) -> str | None:
    parse = parse_id if normalize_key(key) in _ID_KEYS else parse_text
    try:
        parse(value)
    except UnrenderedTemplate as error:
        return error.variable
    except InvalidValue:
        return None
    return None
