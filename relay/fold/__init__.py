"""The fold: events → calls. It finds whose call an event is, joins, and marks what every CRM is owed."""

from relay.fold.loop import Fold
from relay.fold.planning import Plan, World, plan

__all__ = ["Fold", "Plan", "World", "plan"]
