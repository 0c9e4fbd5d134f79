"""Traces as a component: they begin in the process that delivers, and end when it stops."""

import asyncio

from relay import tracing
from relay.settings import Settings


async def run_traces(settings: Settings) -> None:
    """Send traces of this process until cancelled, if the settings name a collector."""
    telemetry = settings.telemetry
    if not telemetry.otlp_endpoint:
        return
    headers = [header.get_secret_value() for header in telemetry.otlp_headers]
    await asyncio.to_thread(tracing.start, telemetry.otlp_endpoint, headers)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(tracing.stop)
