"""For `uvicorn app:app`. Not part of the installed package: it would hide an `app.py` of the user's own."""

from relay.app import app as app  # noqa: PLC0414 - the name is re-exported
