import msgspec

from crm_clients.base import Push
from crm_clients.batch import merge_by_call
from tests.support.samples import make_call


def push(version: int, *changed: str, id: str = "a", first: bool = False) -> Push:  # noqa: A002 - see samples
    return Push(make_call(version, id), frozenset(changed), first=first)


def test_every_call_appears_once_in_the_order_of_its_first_push() -> None:
    merged = merge_by_call([push(1, id="b"), push(1, id="a"), push(2, id="b")])
    assert list(merged) == ["b", "a"]
    assert [each.call.version for each in merged.values()] == [2, 1]


def test_the_newest_version_has_all_changes_whatever_the_order_of_the_pushes() -> None:
    older, newer = push(1, "notes", first=True), msgspec.structs.replace(push(2, "tags"), remote_id="7")
    for pushes in ([older, newer], [newer, older]):
        [merged] = merge_by_call(pushes).values()
        assert (merged.call.version, merged.changed) == (2, frozenset({"notes", "tags"}))
        assert (merged.first, merged.remote_id) == (True, "7")
