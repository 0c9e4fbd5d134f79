from crm_clients.state import InMemoryClientState
from tests.support.fake_time import FakeTime


async def test_a_text_older_than_the_age_is_absent() -> None:
    time = FakeTime()
    state = InMemoryClientState(clock=time.clock)
    await state.set_many({"a": "1", "b": "2"})
    time.now += 60
    await state.set_many({"b": "3"})
    assert await state.get_many(["a", "b", "c"]) == {"a": "1", "b": "3"}
    assert await state.get_many(["a", "b", "c"], max_age_seconds=59) == {"b": "3"}


async def test_none_deletes_a_key() -> None:
    state = InMemoryClientState()
    await state.set_many({"a": "1"})
    await state.set_many({"a": None, "b": None})
    assert await state.get_many(["a", "b"]) == {}
