"""Template variables that the sender did not replace, for the message about a body without an id.

A person who builds a workflow must choose each variable from CloudTalk's picker: a typed `{{call_uuid}}` is
sent as this text.
"""

from collections.abc import Iterable
from typing import Any, Final

from relay.cloudtalk.errors import InvalidValue, UnrenderedTemplate
from relay.cloudtalk.values import parse_text

_MAX_SHOWN: Final = 5
_LONGEST_SHOWN: Final = 60


def find_variables(values: Iterable[Any]) -> list[str]:
    """Return the unrendered variables among these values, each once."""
    return list(dict.fromkeys(str(value).strip() for value in values if _is_variable(value)))


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


def _is_variable(value: Any) -> bool:
    try:
        parse_text(value)
    except UnrenderedTemplate:
        return True
    except InvalidValue:
        return False
    return False
