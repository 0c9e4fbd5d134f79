"""Step 2, events → calls: match each event to its call, join it, write the new version, enqueue deliveries.

Other packages import `FoldWorker` from here, and the one-off commands from their modules: `rebuild`,
`split`, `retry_quarantined`. Matching and planning are pure and serve the tests.
"""

from relay.fold.changes import Changes, plan_changes
from relay.fold.options import FoldOptions, fold_options
from relay.fold.snapshot import Snapshot
from relay.fold.worker import FoldWorker

__all__ = ["Changes", "FoldOptions", "FoldWorker", "Snapshot", "fold_options", "plan_changes"]
