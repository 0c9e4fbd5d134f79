"""The statements of `bench.history`. They run in SQLite and in PostgreSQL.

The table `copies` has a row for each copy of the day, `keys` one for each call of it, `numbers` the numbers
from 1, and `day_calls`, `day_events` and so on have the rows of the day.
"""

from typing import Final

TEMPORARY_TABLES: Final = (
    """
    CREATE TEMP TABLE keys (call text PRIMARY KEY, place int, id text, id_rest text, call_id text,
                            number text, number_reversed text, tail text, tail_reversed text)
    """,
    "CREATE TEMP TABLE copies (n int, shift bigint, date text, hex text, digits text, digits_reversed text)",
    "CREATE TEMP TABLE numbers (n bigint)",
)

_EACH: Final = "FROM copies c CROSS JOIN day_{table} d JOIN keys k ON k.call = d.{call}"
_ID: Final = "'cloudtalk-' || c.hex || k.id_rest"
_NUMBER: Final = "'346' || c.digits || k.tail"
_REVERSED: Final = "'r' || k.number_reversed"
_REVERSED_OF_COPY: Final = "'r' || k.tail_reversed || c.digits_reversed || '643'"


def _of_copy(column: str) -> str:
    """Return a text of the day with the ids, the number and the date of the copy."""
    return (
        f"replace(replace(replace(replace({column}, k.id, c.hex || k.id_rest),"
        f" k.call_id, k.call_id || c.digits), k.number, {_NUMBER}), :date, c.date)"
    )


COPY: Final = (
    f"""
    INSERT INTO calls (id, version, began_at, number, status, direction, talked, pruned_at, changed_at,
                       state, record, field_versions)
    SELECT {_ID}, d.version, d.began_at - c.shift,
           CASE WHEN d.number IS NOT NULL THEN '+' || {_NUMBER} END, d.status, d.direction, d.talked,
           CASE WHEN c.n >= :event_days THEN d.changed_at END, d.changed_at - c.shift,
           CASE WHEN c.n < :event_days THEN {_of_copy("d.state")} ELSE :empty_state END,
           {_of_copy("d.record")}, d.field_versions
    {_EACH.format(table="calls", call="id")} WHERE d.merged_into IS NULL
    """,
    f"""
    INSERT INTO call_keys (began_at, call, terms)
    SELECT d.began_at - c.shift, {_ID},
           replace(replace(d.terms, k.number, {_NUMBER}), {_REVERSED}, {_REVERSED_OF_COPY})
    {_EACH.format(table="call_keys", call="call")} ORDER BY 1, 2
    """,
    f"""
    INSERT INTO call_terms (term, began_at, call)
    SELECT CASE d.term WHEN 'n' || k.number THEN 'n' || {_NUMBER} WHEN {_REVERSED} THEN {_REVERSED_OF_COPY}
           ELSE d.term END, d.began_at - c.shift, {_ID}
    {_EACH.format(table="call_terms", call="call")} ORDER BY 1, 2, 3
    """,
    f"""
    INSERT INTO aliases (alias, call, reason)
    SELECT replace(replace(d.alias, k.id, c.hex || k.id_rest), k.call_id, k.call_id || c.digits), {_ID},
           d.reason
    {_EACH.format(table="aliases", call="call")} ORDER BY 1
    """,
    f"""
    INSERT INTO events (seq, received_at, dialect, kind, content_type, path, query, size, state, call,
                        folded_at, missing)
    SELECT d.seq + (:event_days - 1 - c.n) * :last, d.received_at - c.shift, d.dialect, d.kind,
           d.content_type, d.path, d.query, d.size, d.state, {_ID}, d.folded_at - c.shift, d.missing
    {_EACH.format(table="events", call="call")} WHERE c.n < :event_days ORDER BY 1
    """,
    """
    INSERT INTO bodies (seq, parsed, raw)
    SELECT d.seq + (:event_days - 1 - c.n) * :last, d.parsed, d.raw
    FROM copies c CROSS JOIN day_bodies d WHERE c.n < :event_days ORDER BY 1
    """,
)
"""`event_days`: so many of the newest copies have events. `last`: the last event of the day."""

_STATE: Final = """
CASE (k.place + c.n) % 20 WHEN 0 THEN 'dead' WHEN 1 THEN 'filtered' ELSE 'delivered' END
"""
_CODE: Final = "CASE x.n % 3 WHEN 0 THEN '23502' WHEN 1 THEN '22001' ELSE '23514' END"

ENQUEUE: Final = (
    f"""
    INSERT INTO deliveries (destination, call, state, version, delivered_version, first_delivered_at,
                            pending_since, due_at, attempts, attempted_at, failing_for, remote_id, outcome,
                            code, message)
    SELECT 'crm', x.id, x.state, x.version, CASE x.state WHEN 'delivered' THEN x.version ELSE 0 END,
           CASE x.state WHEN 'delivered' THEN x.at END, x.at, x.at,
           CASE x.state WHEN 'filtered' THEN 0 ELSE 1 END, CASE WHEN x.state <> 'filtered' THEN x.at END, 0,
           CASE x.state WHEN 'delivered' THEN x.id END, CASE x.state WHEN 'dead' THEN 'rejected' END,
           CASE x.state WHEN 'dead' THEN {_CODE} END,
           CASE x.state WHEN 'dead' THEN 'the row was refused' END
    FROM (SELECT {_ID} AS id, d.version, d.changed_at - c.shift AS at, c.n, {_STATE} AS state
          {_EACH.format(table="calls", call="id")} WHERE d.merged_into IS NULL) x
    ORDER BY 2
    """,  # noqa: S608 - fixed
    """
    INSERT INTO delivered_counts (destination, quarter, calls)
    SELECT destination, first_delivered_at / 900000000, count(*) FROM deliveries
    WHERE first_delivered_at IS NOT NULL GROUP BY 1, 2
    """,
)
"""Each twentieth call is a dead letter, in one of three groups, and each twentieth is filtered."""

LONGEST: Final = (
    """
    INSERT INTO events (seq, received_at, dialect, kind, content_type, path, query, size, state, call,
                        folded_at)
    SELECT e.seq + n.n, e.received_at, e.dialect, e.kind, e.content_type, e.path, e.query, e.size, e.state,
           e.call, e.folded_at
    FROM numbers n CROSS JOIN (SELECT * FROM events ORDER BY seq DESC LIMIT 1) e WHERE n.n <= :events
    """,
    """
    INSERT INTO bodies (seq, parsed, raw)
    SELECT b.seq + n.n, b.parsed, b.raw
    FROM numbers n CROSS JOIN (SELECT * FROM bodies ORDER BY seq DESC LIMIT 1) b WHERE n.n <= :events
    """,
)
"""The call of the newest event receives more copies of this event."""

QUARANTINE: Final = """
    INSERT INTO quarantine (received_at, reason, message, pointer, content_type, path, query, size, raw)
    SELECT :now - 1000000 * n.n,
           CASE n.n % 3 WHEN 0 THEN 'unknown_event' WHEN 1 THEN 'missing_id' ELSE 'unreadable_field' END,
           'this value was not expected', '/event', 'application/json', '', '', length(b.raw), b.raw
    FROM numbers n CROSS JOIN (SELECT raw FROM bodies ORDER BY seq LIMIT 1) b WHERE n.n <= :bodies
    """
