"""Time limits of blocks: one timer for all of them. Deadlines and evictions are tested with the limits."""

import asyncio

from relay.ingest.deadlines import CHECK_SECONDS
from relay.ingest.limits import AdmissionControl


async def test_all_blocks_share_one_timer_that_ends_after_the_last_one() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    with admission.permit("192.0.2.1", authenticated=True).until_deadline():
        timer = admission.deadlines._timer
    with admission.permit("192.0.2.1", authenticated=True).until_deadline():
        assert admission.deadlines._timer is timer is not None
        await asyncio.sleep(CHECK_SECONDS * 1.5)
        assert admission.deadlines._timer is not None
    await asyncio.sleep(CHECK_SECONDS * 1.5)
    assert admission.deadlines._timer is None
