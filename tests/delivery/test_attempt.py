"""The requests of one attempt, and the outcome of each delivery."""

from collections.abc import Sequence

from crm_clients.base import Delivered, Misconfigured, Outcome, Outdated, Push, Rejected, Retraction
from relay.call import DELIVERED_FIELDS
from relay.delivery.attempt import Attempt
from relay.delivery.choose_action import Action, Found, PlannedDelivery
from tests.support.deliveries import due_delivery
from tests.support.delivering import FakeCrm, always, first_then


def planned(id: str, action: Action, *, delivered_version: int = 0) -> PlannedDelivery:  # noqa: A002 - the field's name
    due = due_delivery(id, field_versions={"status": 1}, delivered_version=delivered_version, remote_id="r")
    return PlannedDelivery(due, action, partial=False)


async def test_each_delivery_has_its_outcome_whatever_its_action() -> None:
    crm = FakeCrm()
    crm.lost = {"lost"}
    batch = [
        planned("new", Action.UPSERT),
        planned("there", Action.VERIFY, delivered_version=1),
        planned("gone", Action.RETRACT, delivered_version=1),
        planned("lost", Action.VERIFY, delivered_version=1),
    ]
    outcomes = await Attempt(crm, batch).run(5)
    assert outcomes == [
        Delivered(remote_id="remote-new"),
        Found(),
        Delivered(),
        Delivered(remote_id="remote-lost"),
    ]
    assert [retraction.remote_id for retraction in crm.retracted[0]] == ["r"]


async def test_a_code_of_any_length_is_stored() -> None:
    crm = FakeCrm()
    crm.answer = always(Rejected(code="é" * 6_000, message="m"))
    (outcome,) = await Attempt(crm, [planned("bad", Action.UPSERT)]).run(60)
    assert outcome == Rejected(code="é" * 200, message="m")


async def test_a_lost_record_is_pushed_like_a_new_one() -> None:
    crm = FakeCrm()
    crm.lost = {"lost"}
    await Attempt(crm, [planned("lost", Action.VERIFY, delivered_version=1)]).run(5)
    ((push,),) = crm.pushed
    assert (push.first, push.changed, push.remote_id) == (True, frozenset(DELIVERED_FIELDS), None)


async def test_an_outdated_record_is_written_whole() -> None:
    crm = FakeCrm()
    answers = [Outdated(), Delivered(remote_id="r"), Rejected(code="22")]
    crm.answer = first_then(lambda _: [*answers])
    batch = [planned(id_, Action.UPSERT, delivered_version=7) for id_ in ("old", "new", "bad")]
    outcomes = await Attempt(crm, batch).run(5)
    assert outcomes == [Delivered(remote_id="remote-old"), Delivered(remote_id="r"), Rejected(code="22")]
    changes, (whole,) = crm.pushed
    assert [push.delivered_version for push in changes] == [7, 7, 7]
    assert (whole.call.id, whole.changed, whole.first) == ("old", frozenset(DELIVERED_FIELDS), False)
    assert (whole.rewrite, whole.delivered_version, whole.remote_id) == (True, 0, "r")


async def test_an_outdated_record_of_which_the_crm_knows_more_receives_what_is_known() -> None:
    crm = FakeCrm()
    crm.answer = first_then(always(Outdated()))
    due = due_delivery(field_versions={"notes": 8}, delivered_version=7, partial=True)
    await Attempt(crm, [PlannedDelivery(due, Action.UPSERT, partial=True)]).run(5)
    assert crm.pushed[1][0].changed == {"notes", "cloudtalk_data"}


async def test_a_client_that_cannot_read_keeps_its_records() -> None:
    class WithoutRead(FakeCrm):
        async def read(self, pushes: Sequence[Push]) -> None:
            assert all(not push.changed for push in pushes)

    crm = WithoutRead()
    assert await Attempt(crm, [planned("a", Action.VERIFY, delivered_version=1)]).run(5) == [Found()]
    assert crm.pushed == []


async def test_if_the_verification_fails_no_record_is_written() -> None:
    class Failing(FakeCrm):
        async def read(self, pushes: Sequence[Push]) -> Outcome:
            del pushes
            return Misconfigured(code="42P01")

    crm = Failing()
    batch = [
        planned("a", Action.VERIFY, delivered_version=1),
        planned("b", Action.VERIFY, delivered_version=1),
    ]
    assert await Attempt(crm, batch).run(5) == [Misconfigured(code="42P01")] * 2
    assert crm.pushed == []


async def test_after_an_exception_only_deliveries_under_way_have_failed() -> None:
    class Raising(FakeCrm):
        async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
            del retractions
            raise RuntimeError("a defect")

    batch = [planned("gone", Action.RETRACT, delivered_version=1), planned("new", Action.UPSERT)]
    failed, not_tried = await Attempt(Raising(), batch).run(5)
    assert failed is not None
    assert (failed.name, failed.code) == ("retry", "client_fault")
    assert not_tried is None


async def test_after_the_time_limit_a_delivery_under_way_is_unknown() -> None:
    crm = FakeCrm()
    crm.may_answer.clear()
    (outcome,) = await Attempt(crm, [planned("new", Action.UPSERT)]).run(0.01)
    assert outcome is not None
    assert (outcome.name, outcome.code) == ("unknown", "timeout")
