"""The questions about calls in the ledger."""

from functools import partial

from relay.instants import Instant
from relay.ledger import Ledger, enrichments
from relay.ledger.enrichments import DueQuestion, NewQuestion, Question
from relay.ledger.states import EnrichmentState

Q = Question


async def enqueue(ledger: Ledger, *new: NewQuestion, now: int = 100) -> None:
    await ledger.write(lambda c: enrichments.enqueue(c, new, now=Instant(now)))


async def due(ledger: Ledger, now: int, questions: tuple[Question, ...] = tuple(Q)) -> list[DueQuestion]:
    return await ledger.read(lambda c: enrichments.list_due(c, questions, now=Instant(now), limit=10))


def new(call: str, question: Question, at: int, *, announced: bool = False) -> NewQuestion:
    return NewQuestion(call, question, Instant(at), announced)


async def test_questions_are_due_in_their_order(ledger: Ledger) -> None:
    await enqueue(ledger, new("b", Q.SUMMARY, 300), new("a", Q.ANALYTICS, 200), new("a", Q.SUMMARY, 900))
    assert [(each.call, each.question) for each in await due(ledger, 300)] == [
        ("a", Q.ANALYTICS),
        ("b", Q.SUMMARY),
    ]
    assert [each.call for each in await due(ledger, 300, (Q.SUMMARY,))] == ["b"]
    assert await due(ledger, 300, ()) == []
    assert await ledger.read(enrichments.count_pending) == 3


async def test_a_known_question_stays_as_it_is(ledger: Ledger) -> None:
    await enqueue(ledger, new("a", Q.SUMMARY, 200))
    (first,) = await due(ledger, 200)
    await ledger.write(partial(enrichments.postpone, due=first, until=Instant(500), attempts=1))
    await enqueue(ledger, new("a", Q.SUMMARY, 210), now=210)
    assert await due(ledger, 499) == []
    assert await due(ledger, 500) == [DueQuestion("a", Q.SUMMARY, Instant(100), 1)]


async def test_a_settled_question_is_asked_no_more_and_ends_once(ledger: Ledger) -> None:
    await enqueue(ledger, new("a", Q.SUMMARY, 200))
    (first,) = await due(ledger, 200)
    settle = partial(enrichments.settle, due=first, state=EnrichmentState.SETTLED)
    assert await ledger.write(settle)
    assert not await ledger.write(settle)
    await enqueue(ledger, new("a", Q.SUMMARY, 200, announced=True))
    assert await due(ledger, 999) == []


async def test_an_announcement_asks_again_what_was_given_up_and_only_once(ledger: Ledger) -> None:
    await enqueue(ledger, new("a", Q.SUMMARY, 200))
    (first,) = await due(ledger, 200)
    give_up = partial(enrichments.settle, due=first, state=EnrichmentState.GIVEN_UP, reason="not_found")
    await ledger.write(give_up)
    await enqueue(ledger, new("a", Q.SUMMARY, 300))
    assert await due(ledger, 999) == []
    await enqueue(ledger, new("a", Q.SUMMARY, 400, announced=True), now=390)
    assert await due(ledger, 400) == [DueQuestion("a", Q.SUMMARY, Instant(390), 0)]
    await ledger.write(give_up)
    await enqueue(ledger, new("a", Q.SUMMARY, 500, announced=True))
    assert await due(ledger, 999) == []


async def test_a_question_of_a_call_that_is_gone_cannot_be_settled(ledger: Ledger) -> None:
    gone = DueQuestion("a", Q.SUMMARY, Instant(1), 0)
    assert not await ledger.write(partial(enrichments.settle, due=gone, state=EnrichmentState.SETTLED))


async def test_old_questions_are_deleted_portion_by_portion(ledger: Ledger) -> None:
    await enqueue(ledger, *(new(f"call-{n}", Q.SUMMARY, 5) for n in range(3)))
    await enqueue(ledger, new("late", Q.SUMMARY, 5), now=200)
    delete = partial(enrichments.delete_old, before=Instant(200), limit=2)
    counts = [await ledger.write(delete) for _ in range(3)]
    assert counts == [2, 1, 0]
    assert [each.call for each in await due(ledger, 999)] == ["late"]
