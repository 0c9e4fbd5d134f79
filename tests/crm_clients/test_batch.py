import msgspec

from crm_clients.base import Push
from crm_clients.batch import newest
from tests.support.samples import call_at


def push(version: int, *changed: str, id: str = "a", first: bool = False) -> Push:  # noqa: A002 - see samples
    return Push(call_at(version, id), frozenset(changed), first=first)


def test_each_call_comes_once_in_the_order_of_its_first_mention() -> None:
    found = newest([push(1, id="b"), push(1, id="a"), push(2, id="b")])
    assert list(found) == ["b", "a"]
    assert [each.call.version for each in found.values()] == [2, 1]


def test_the_newest_version_comes_with_all_that_changed_whatever_the_order() -> None:
    older, newer = push(1, "notes", first=True), msgspec.structs.replace(push(2, "tags"), remote_id="7")
    for pushes in ([older, newer], [newer, older]):
        [found] = newest(pushes).values()
        assert (found.call.version, found.changed) == (2, frozenset({"notes", "tags"}))
        assert (found.first, found.remote_id) == (True, "7")
