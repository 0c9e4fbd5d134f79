"""Alerts: messages to a person when something is wrong, and when it is right again.

Three questions, each in a module of its own: what is the case (`conditions`, `silence`), whether to send a
message about it (`decisions`), and how it is written (`messages`). `worker` asks them again and again and
sends.
"""

from relay.alerts.worker import AlertWorker

__all__ = ["AlertWorker"]
