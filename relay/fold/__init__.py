"""The fold: events → calls. It finds whose call an event is, joins, and marks what every CRM is owed."""

from relay.fold.planning import Plan, World, plan
from relay.fold.worker import Fold

__all__ = ["Fold", "Plan", "World", "plan"]
