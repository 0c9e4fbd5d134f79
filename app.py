"""For `uvicorn app:app`. It is not installed: users may have an `app.py` of their own."""

from relay.app import app as app  # noqa: PLC0414 - re-exported
