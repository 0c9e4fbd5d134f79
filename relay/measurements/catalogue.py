"""Every counter and histogram of the relay. `docs/metrics.md` lists them, held by a test."""

from typing import Final

from relay.measurements.instruments import Counter, Histogram, LatestGauge

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

EVENTS: Final = Counter(
    "relay_events_total", "Events that were stored in the ledger and acknowledged.", ("dialect", "kind")
)
LAST_EVENT: Final = LatestGauge(
    "relay_last_event_timestamp_seconds",
    "Unix time at which the newest event arrived, of all relays that share the ledger.",
)
REQUESTS_REFUSED: Final = Counter(
    "relay_requests_refused_total",
    "Requests at the webhook's path whose events were not accepted, by reason: that of the problem document "
    "or of the log event `ingest.unauthorised`. Signed webhooks and call flows got the status 200 all the "
    "same.",
    ("reason",),
)
REQUESTS_IGNORED: Final = Counter(
    "relay_requests_ignored_total",
    "Requests at the webhook's path without a known event: pings, empty bodies, events of unknown types.",
)
REQUEST_SECONDS: Final = Histogram(
    "relay_request_duration_seconds",
    "Seconds from the head of a request at the webhook's path to its response.",
    bounds=_FAST,
)
COMMIT_SECONDS: Final = Histogram(
    "relay_ledger_commit_seconds",
    "Seconds that the ledger took to store a group of events, until they were on disk.",
    bounds=_FAST,
)
FOLD_LAG: Final = Histogram(
    "relay_fold_lag_seconds",
    "Seconds from the arrival of an event to its fold. Of an event that waits for its call they contain the "
    "wait, at most `cloudtalk.grace_seconds`.",
    bounds=_SLOW,
)
FORGOTTEN_EVENTS: Final = Counter(
    "relay_forgotten_events_total",
    "Events that were deleted because `relay forget` had erased what they are about.",
)
PUSHES: Final = Counter(
    "relay_pushes_total", "Calls that were pushed to a destination, by outcome.", ("destination", "outcome")
)
PUSH_SECONDS: Final = Histogram(
    "relay_push_duration_seconds",
    "Seconds that a push of one batch of calls took, with all its requests to the CRM.",
    ("destination",),
    bounds=_SLOW,
)
DEAD_LETTERS: Final = Counter(
    "relay_deliveries_died_total", "Deliveries that became dead letters.", ("destination",)
)
PAUSES: Final = Counter(
    "relay_destination_pauses_total",
    "Pauses of a destination that began or were prolonged, by reason.",
    ("destination", "reason"),
)
PROCESS_STARTS: Final = Counter(
    "relay_process_starts_total",
    "Starts of processes by their role. More than one of a role that has one process: it died and was "
    "replaced.",
    ("role",),
)
RECORDING_FETCHES: Final = Counter(
    "relay_recording_fetches_total",
    "Fetches of recordings from CloudTalk, by outcome: `fetched`, or the reason of the log event "
    "`recording.failed`.",
    ("outcome",),
)
RECORDINGS_ARCHIVED: Final = Counter(
    "relay_recordings_archived_total",
    "Attempts to archive a recording, by outcome: `archived`, or the reason of the log event "
    "`recording.archive_failed` or `recording.missing`.",
    ("outcome",),
)
HISTORY_REQUESTS: Final = Counter(
    "relay_history_requests_total",
    "Requests for CloudTalk's history and about single calls, by API (`history`, `analytics` or `ai`) and "
    "outcome: the status of the answer, or `unreachable`.",
    ("api", "outcome"),
)
ENRICHMENTS: Final = Counter(
    "relay_enrichments_total",
    "Questions about single calls to CloudTalk's analytics and AI, by question (`analytics`, `call_back`, "
    "`summary`, `transcript`, `smart_notes`) and outcome: `found`, `not_yet`, `failed` or `given_up`.",
    ("question", "outcome"),
)
RECONCILE_RUNS: Final = Counter(
    "relay_reconcile_runs_total",
    "Searches of the reconciler, by outcome: `finished` or `failed`.",
    ("outcome",),
)
RECONCILED_CALLS: Final = Counter(
    "relay_reconciled_calls_total",
    "Calls that the reconciler found, by result: `new` (no event announced them) or `filled` (they lacked "
    "something).",
    ("result",),
)
LAST_RECONCILE: Final = LatestGauge(
    "relay_last_reconcile_timestamp_seconds",
    "Unix time at which the newest search of the reconciler finished, of all relays that share the ledger.",
)
AUDIT_RUNS: Final = Counter(
    "relay_audit_runs_total",
    "Nightly audits, by outcome: `good`, or `bad` if a person has to look at something.",
    ("outcome",),
)
AUDIT_FINDINGS: Final = Counter(
    "relay_audit_findings_total",
    "Calls that nightly audits found, by destination and result. Without a destination: `unknown` to the "
    "ledger or `incomplete` there. With one: `missing`, `removed`, `outdated`, `doubled`, `left_over` or "
    "`changed` in the CRM, and those of them that were `repaired`.",
    ("destination", "result"),
)
LAST_AUDIT: Final = LatestGauge(
    "relay_last_audit_timestamp_seconds",
    "Unix time at which the newest nightly audit finished, of all relays that share the ledger.",
)
