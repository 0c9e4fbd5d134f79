from collections.abc import Iterator

import pytest

from relay.measurements import SharedMemory, attach


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    """Memory of two processes, of which this one is the first."""
    memory = SharedMemory(2)
    attach(memory, 0)
    yield memory
    attach(SharedMemory(1), 0)
