"""The fold: events → calls. It finds whose call an event is, joins, and marks what every CRM is owed."""

from relay.fold.planning import Changes, Snapshot, plan_changes
from relay.fold.worker import FoldWorker

__all__ = ["Changes", "FoldWorker", "Snapshot", "plan_changes"]
