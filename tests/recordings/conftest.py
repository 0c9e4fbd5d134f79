from collections.abc import AsyncIterator

import pytest

from tests.fakes.cloudtalk import FakeCloudTalk, running_cloudtalk
from tests.support.recordings import wav


@pytest.fixture
async def cloudtalk() -> AsyncIterator[FakeCloudTalk]:
    """A fake CloudTalk with the recording of the call 7, of 10 seconds: 160 044 bytes."""
    async with running_cloudtalk({"7": wav(10)}) as fake:
        yield fake
