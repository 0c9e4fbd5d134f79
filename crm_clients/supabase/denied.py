"""Name the object that the role may not use, if it is not the table itself, and the GRANT that helps."""

import re
from typing import Final

from crm_clients.base import Finding
from crm_clients.supabase.errors import ApiError, ApiFailure
from crm_clients.supabase.location import Location, problem_finding, secret_key_hint
from crm_clients.supabase.sql import relation_grant_sql, routine_grant_sql, usage_grant_sql

MISSING_GRANT: Final = "missing_grant"

_DENIED: Final = re.compile(
    r"permission denied for (table|view|materialized view|foreign table|foreign-data wrapper|foreign server"
    r"|function|procedure|routine|aggregate|schema|type|language) (.+)"
)
_RELATIONS: Final = frozenset({"table", "view", "materialized view", "foreign table"})
_ROUTINES: Final = frozenset({"function", "procedure", "routine", "aggregate"})


def explain_denied(location: Location, failure: ApiFailure) -> Finding | None:
    """Explain a missing grant on another object that the table uses. None: it is on the table or its schema.

    A default value or a trigger of the table may use such an object, and a view its tables.
    """
    message = failure.message if isinstance(failure, ApiError) else None
    match = _DENIED.search(message or "")
    if match is None:
        return None
    kind, name = match.groups()
    is_own_table = kind in _RELATIONS and name == location.table
    if is_own_table or (kind == "schema" and name == location.sql_schema):
        return None
    problem = (
        f"The role {location.role} may not use the {kind} {name}, which the table {location.full_table} "
        f"needs ({message})."
    )
    hint = secret_key_hint(location) or (
        "If a view or a function uses it with the rights of its owner, grant it to this owner; otherwise run "
        f"in Supabase's SQL editor: {_grant_sql(kind, name, location.role)}"
    )
    return problem_finding(location, MISSING_GRANT, problem, hint)


def _grant_sql(kind: str, name: str, role: str) -> str:
    if kind in _RELATIONS:
        return relation_grant_sql(name, role)
    return routine_grant_sql(name, role) if kind in _ROUTINES else usage_grant_sql(kind, name, role)
