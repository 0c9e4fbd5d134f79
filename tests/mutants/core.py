"""The modules that get mutants, and the tests that should notice them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

CORE: Final = (
    "relay/call",
    "relay/cloudtalk",
    "relay/standards",
    "relay/fold/batch_size.py",
    "relay/fold/call_backs.py",
    "relay/fold/changes.py",
    "relay/fold/conflicts.py",
    "relay/fold/dedup.py",
    "relay/fold/matching.py",
    "relay/fold/versions.py",
    "relay/fold/waiting.py",
    "relay/fold/write.py",
    "relay/delivery/batching.py",
    "relay/delivery/bisect.py",
    "relay/delivery/choose_action.py",
    "relay/delivery/completeness.py",
    "relay/delivery/last_delivery.py",
    "relay/delivery/next_due.py",
    "relay/delivery/pauses.py",
    "relay/delivery/recording_links.py",
    "relay/delivery/retry_policy.py",
    "relay/delivery/transitions.py",
    "relay/ledger/actions.py",
    "relay/ledger/activity.py",
    "relay/ledger/aliases.py",
    "relay/ledger/attempts.py",
    "relay/ledger/backlog.py",
    "relay/ledger/call_backs.py",
    "relay/ledger/call_candidates.py",
    "relay/ledger/call_search.py",
    "relay/ledger/call_terms.py",
    "relay/ledger/calls.py",
    "relay/ledger/dead_letters.py",
    "relay/ledger/dedup.py",
    "relay/ledger/delivered_counts.py",
    "relay/ledger/deliveries",
    "relay/ledger/destinations.py",
    "relay/ledger/epochs.py",
    "relay/ledger/journal",
    "relay/ledger/leases.py",
    "relay/ledger/quarantine.py",
    "relay/ledger/recordings.py",
    "relay/ledger/replays.py",
    "relay/ledger/retention.py",
    "relay/ledger/retention_queries.py",
    "relay/ledger/search_terms.py",
    "relay/ledger/tombstones.py",
    "relay/ledger/unanswered.py",
    "relay/operations/explanation.py",
    "relay/recordings/ranges.py",
    "relay/ingest/auth_failures.py",
    "relay/ingest/deadlines.py",
    "relay/ingest/limits.py",
    "relay/ingest/refusals.py",
    "relay/logs/redaction.py",
    "crm_clients/clean_cancel.py",
    "crm_clients/http.py",
    "crm_clients/hubspot/call_records.py",
    "crm_clients/hubspot/contacts.py",
    "crm_clients/hubspot/errors.py",
    "crm_clients/hubspot/responses.py",
    "crm_clients/hubspot/task_records.py",
    "crm_clients/hubspot/text.py",
    "crm_clients/supabase/errors.py",
    "crm_clients/supabase/record.py",
    "crm_clients/supabase/refusals.py",
    "crm_clients/supabase/too_long.py",
    "crm_clients/supabase/unchanged.py",
)
"""Files, and folders with all their modules."""

_MORE_TESTS: Final = {
    "relay/call/": ("tests/call",),
    "relay/call/from_event.py": ("tests/fold/test_dedup.py", "tests/fold/test_matching.py"),
    "relay/cloudtalk/": (
        "tests/cloudtalk/test_parser.py",
        "tests/cloudtalk/test_examples.py",
        "tests/cloudtalk/test_request.py",
        "tests/cloudtalk/test_decoding.py",
    ),
    "relay/cloudtalk/body_secrets.py": ("tests/cloudtalk/test_authentication.py",),
    "relay/cloudtalk/history.py": ("tests/cloudtalk/test_history_row.py",),
    "relay/cloudtalk/fields.py": ("tests/cloudtalk/test_keys.py",),
    "relay/cloudtalk/statuses.py": ("tests/cloudtalk/test_fields.py",),
    "relay/cloudtalk/identity.py": ("tests/cloudtalk/test_fields.py",),
    "relay/standards/sqlite_errors.py": ("tests/ledger/test_sqlite_files.py",),
    "relay/fold/": ("tests/fold/test_worker.py",),
    "relay/fold/conflicts.py": ("tests/fold/test_matching.py", "tests/fold/test_transfers.py"),
    "relay/fold/matching.py": ("tests/fold/test_transfers.py", "tests/fold/test_one_record.py"),
    "relay/fold/changes.py": ("tests/fold/test_transfers.py", "tests/fold/test_waiting.py"),
    "relay/fold/dedup.py": ("tests/fold/test_rebuild.py",),
    "relay/fold/versions.py": ("tests/fold/test_tombstones.py",),
    "relay/fold/write.py": ("tests/fold/test_dedup.py", "tests/fold/test_tombstones.py"),
    "relay/delivery/choose_action.py": ("tests/delivery/test_transitions.py",),
    "relay/ledger/calls.py": ("tests/ledger/test_call_search.py",),
    "relay/ledger/activity.py": ("tests/operations/test_activity.py",),
    "relay/ledger/call_backs.py": ("tests/fold/test_call_backs.py",),
    "relay/ledger/call_candidates.py": ("tests/ledger/test_call_search.py",),
    "relay/ledger/call_terms.py": ("tests/ledger/test_call_search.py",),
    "relay/ledger/dead_letters.py": ("tests/ledger/test_dead_letter_groups.py",),
    "relay/ledger/dedup.py": ("tests/fold/test_write.py", "tests/ledger/test_retention_queries.py"),
    "relay/ledger/deliveries/": ("tests/ledger/deliveries",),
    "relay/ledger/journal/": ("tests/ledger/test_journal.py",),
    "relay/ledger/quarantine.py": ("tests/fold/test_conflicts.py",),
    "relay/ledger/replays.py": ("tests/delivery/test_replay.py",),
    "relay/ledger/retention_queries.py": ("tests/ledger/test_retention.py",),
    "relay/ledger/search_terms.py": ("tests/ledger/test_call_search.py",),
    "relay/ledger/tombstones.py": ("tests/fold/test_tombstones.py", "tests/ledger/test_retention_queries.py"),
    "relay/ledger/unanswered.py": ("tests/operations/test_unanswered.py",),
    "relay/ledger/": ("tests/ledger/test_query_plans.py",),
    "relay/ingest/deadlines.py": ("tests/ingest/test_limits.py", "tests/ingest/test_body.py"),
    "relay/ingest/": ("tests/ingest/test_endpoint.py", "tests/ingest/test_unauthenticated.py"),
    "relay/logs/redaction.py": ("tests/logs",),
    "crm_clients/http.py": (
        "tests/crm_clients/test_response_body.py",
        "tests/crm_clients/test_clean_cancel.py",
    ),
    "crm_clients/hubspot/": ("tests/crm_clients/hubspot/test_client.py",),
    "crm_clients/hubspot/task_records.py": ("tests/crm_clients/hubspot/test_tasks.py",),
    "crm_clients/supabase/too_long.py": ("tests/crm_clients/supabase/test_refusals.py",),
    "crm_clients/supabase/": ("tests/crm_clients/supabase/test_failures.py",),
    "crm_clients/supabase/record.py": ("tests/crm_clients/supabase/test_layout_table.py",),
}
"""The tests besides the one that mirrors a module, by the start of its path: they test it through another."""


def core_modules(root: Path, chosen: Sequence[str] = ()) -> list[str]:
    """List the files of the core whose path begins with one of the chosen ones, or all if none is chosen."""
    parts = [root / part for part in CORE]
    files = [file for part in parts for file in ([part] if part.suffix else sorted(part.rglob("*.py")))]
    paths = [file.relative_to(root).as_posix() for file in files if file.name != "__init__.py"]
    return [path for path in paths if path.startswith(tuple(chosen) or "")]


def list_tests(root: Path, module: str) -> list[str]:
    """List the tests of a module: first the one that mirrors it, which is the fastest to fail."""
    folder, _, name = module.rpartition("/")
    mirror = f"tests/{folder.removeprefix('relay/')}/test_{name}"
    tests = [mirror] if (root / mirror).exists() else []
    tests += [test for start, more in _MORE_TESTS.items() if module.startswith(start) for test in more]
    return list(dict.fromkeys(tests))
