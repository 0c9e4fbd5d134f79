"""Asking CloudTalk what calls lack: missed calls, conversations, ids, and answers that do not come."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.call import Status
from relay.cloudtalk import analytics
from relay.history.enrichment import api
from relay.instants import SECOND
from relay.ledger import erasure, warnings
from relay.ledger.enrichments import Question
from tests.fakes.cloudtalk_history import FakeHistory
from tests.history.enrichment.conftest import Office, settings_for
from tests.support.enrichment import SMART_NOTES, agent_call, missed, queue, transcription
from tests.support.history_calls import PastCall

ID = "cloudtalk-44fe27cd-5268-4670-993e-000000000001"
AI = {Question.SUMMARY, Question.TRANSCRIPT, Question.SMART_NOTES}


def past(office: Office, *, talking: int = 0, number: int = 1) -> PastCall:
    """A call that began a minute ago."""
    started_at = datetime.fromtimestamp(office.clock.now // SECOND - 60, UTC)
    return PastCall(number, started_at, f"+3460000{number:04d}", talking)


def know(cloudtalk: FakeHistory, call: PastCall, **details: Any) -> None:
    cloudtalk.uuids[call.call_id] = call.call_uuid
    cloudtalk.details[call.call_id] = details


def transcribe(cloudtalk: FakeHistory, call: PastCall) -> None:
    cloudtalk.ai[call.call_id, "summary"] = {"callId": 1, "summary": "They want an offer."}
    cloudtalk.ai[call.call_id, "transcription"] = transcription(("agent", "Hello."), ("contact", "An offer!"))
    cloudtalk.ai[call.call_id, "smart-notes"] = SMART_NOTES


def paths(cloudtalk: FakeHistory) -> list[str]:
    return [asked.path for asked in cloudtalk.asked]


async def test_a_missed_call_gets_its_reason_and_the_agents_who_were_rung(office: Office) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed(queue(agent_call(7, "Ana"), agent_call(8, "Bea", reason="busy"))))
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask()
    record = await office.call(ID)
    assert (record.status, record.missed_reason, record.follow_up) == (
        Status.MISSED,
        "nobody picked up",
        True,
    )
    assert {(leg.agent_name, leg.outcome) for leg in record.legs} >= {("Ana", "missed"), ("Bea", "missed")}
    assert record.cloudtalk_data["analytics"]["call_steps"][0]["name"] == "Sales"
    assert paths(office.cloudtalk) == [f"/analytics/calls/{call.call_id}"]


async def test_a_conversation_gets_the_texts_of_the_ai(office: Office) -> None:
    call = past(office, talking=30)
    transcribe(office.cloudtalk, call)
    await office.receive(call.ended("call_uuid", "call_id"))
    before = await office.call(ID)
    await office.ask()
    record = await office.call(ID)
    assert (record.summary, record.transcript) == (
        "They want an offer.",
        "Agent: Hello.\nCustomer: An offer!",
    )
    assert record.smart_notes is not None
    assert "- Send the offer" in record.smart_notes
    assert (record.status, record.talking_seconds, record.ended_at) == (
        before.status,
        before.talking_seconds,
        before.ended_at,
    )
    assert await office.pending() == set()


async def test_a_long_transcript_is_read_page_by_page(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_SEGMENTS_PER_PAGE", 2)
    call = past(office, talking=30)
    said = [("agent" if turn % 2 else "contact", f"Turn {turn}.") for turn in range(5)]
    office.cloudtalk.ai[call.call_id, "transcription"] = transcription(*said)
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask()
    record = await office.call(ID)
    assert record.transcript is not None
    assert record.transcript.splitlines()[-1] == "Customer: Turn 4."
    offsets = [asked.query["offset"] for asked in office.cloudtalk.asked if "offset" in asked.query]
    assert offsets == ["0", "2", "4"]


async def test_what_is_not_processed_yet_is_asked_again_after_growing_delays(office: Office) -> None:
    call = past(office, talking=30)
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask(after=31)
    assert len(office.cloudtalk.asked) == 3
    await office.ask(after=30)  # the first delay is a minute
    assert len(office.cloudtalk.asked) == 3
    transcribe(office.cloudtalk, call)
    await office.ask(after=31)
    assert (await office.call(ID)).summary == "They want an offer."
    assert await office.pending() == set()


async def test_what_never_comes_is_given_up_and_the_log_says_so(office: Office) -> None:
    call = past(office, talking=30)
    await office.receive(call.ended("call_uuid", "call_id"))
    with capture_logs() as logs:
        for _ in range(12):
            await office.ask(after=20_000)
    given_up = {(line["question"], line["reason"]) for line in logs if line["event"] == "enrich.given_up"}
    assert given_up == {(question, "not_found") for question in AI}
    assert len(office.cloudtalk.asked) == 3 * 7
    await office.receive(call.ended("call_uuid", "call_id") | {"event": "call.modified", "tags": "late"})
    assert await office.pending() == set()  # another event of the call asks nothing again


async def test_a_transcript_that_is_announced_is_asked_for_again(office: Office) -> None:
    call = past(office, talking=30)
    await office.receive(call.ended("call_uuid", "call_id"))
    for _ in range(12):
        await office.ask(after=20_000)
    transcribe(office.cloudtalk, call)
    await office.receive(
        {
            "event_id": "evt1",
            "type": "transcript.ready",
            "version": "v1",
            "occurred_at": "2024-11-28T10:35:00.000Z",
            "data": {"call_uuid": call.call_uuid},
        }
    )
    assert await office.pending() == {Question.TRANSCRIPT}
    await office.ask()
    assert (await office.call(ID)).transcript is not None


async def test_a_call_with_a_uuid_alone_waits_for_its_id(office: Office) -> None:
    call = past(office, talking=30)
    transcribe(office.cloudtalk, call)
    await office.receive(call.ended("call_uuid"))
    assert await office.pending() == set()
    await office.receive(
        {"event": "recording_uploaded", "call_uuid": call.call_uuid, "call_id": call.call_id}
    )
    assert await office.pending() == AI
    await office.ask()
    assert (await office.call(ID)).summary is not None


async def test_an_id_and_a_uuid_that_nothing_else_links_become_one_call(office: Office) -> None:
    call = past(office, talking=30)
    know(office.cloudtalk, call)
    without_number = {"external_number": "anonymous"}
    await office.receive(call.started() | without_number, call.ended("call_id") | without_number)
    assert (await office.call(f"cloudtalk-{call.call_id}")).call_uuid is None
    await office.ask()
    by_id = f"cloudtalk-{call.call_id}"
    survivor = (await office.call(ID)).merged_into or ID
    assert (await office.call(by_id if survivor == ID else ID)).merged_into == survivor
    record = await office.call(survivor)
    assert (record.call_id, record.call_uuid) == (call.call_id, call.call_uuid)
    assert record.status is Status.COMPLETED


async def test_an_id_that_no_other_call_could_have_costs_no_request(office: Office) -> None:
    call = past(office, talking=30)
    await office.receive(call.ended("call_id"))
    for _ in range(8):
        await office.ask(after=4_000)
    assert not [path for path in paths(office.cloudtalk) if path.startswith("/analytics/")]
    assert Question.ANALYTICS not in await office.pending()


async def test_a_call_back_that_the_ledger_does_not_have_ends_the_follow_up(office: Office) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed(queue()))
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask()
    assert (await office.call(ID)).follow_up
    at = (call.started_at + timedelta(minutes=14)).isoformat()
    resolved = {"id": 99, "date": at, "agent": {"id": 8, "name": "Bea"}}
    know(office.cloudtalk, call, **missed(queue(resolved=resolved)))
    await office.ask(after=4 * 3_600)
    record = await office.call(ID)
    assert (record.follow_up, record.called_back_by) == (False, "Bea")
    assert record.status is Status.MISSED
    assert record.called_back_at is not None
    assert len(office.cloudtalk.asked) == 2


async def test_a_missed_call_that_was_called_back_is_not_asked_about_again(office: Office) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed(queue()))
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask()
    later = past(office, talking=40, number=2)._replace(external=call.external)
    await office.receive(later.ended("call_uuid"))
    assert not (await office.call(ID)).follow_up
    await office.ask(after=4 * 3_600)
    assert len([path for path in paths(office.cloudtalk) if path.startswith("/analytics/")]) == 1


async def test_analytics_without_steps_are_asked_again(office: Office) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed())
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask(after=11)
    assert (await office.call(ID)).missed_reason is None
    know(office.cloudtalk, call, **missed(queue()))
    await office.ask(after=21)
    assert (await office.call(ID)).missed_reason == "nobody picked up"


@pytest.mark.parametrize("fault", ["unauthorised", "forbidden"])
async def test_a_refused_key_pauses_the_api_and_not_the_other_one(office: Office, fault: str) -> None:
    conversation, lost = past(office, talking=30), past(office, number=2)
    know(office.cloudtalk, lost, **missed(queue()))
    transcribe(office.cloudtalk, conversation)
    await office.receive(lost.ended("call_uuid", "call_id"))
    await office.receive(conversation.ended("call_uuid", "call_id"))
    office.cloudtalk.faults.append(fault)
    with capture_logs() as logs:
        await office.ask()
    (paused,) = [line for line in logs if line["event"] == "enrich.paused"]
    assert (paused["api"], paused["code"]) == ("analytics", "unauthorised")
    assert "key_id" in str(await office.warning(warnings.ANALYTICS_PAUSED))
    assert (await office.call(ID)).summary is not None
    await office.ask(after=400)
    assert Question.ANALYTICS in await office.pending()  # it is paused
    office.enricher.set_settings(office.settings)  # as after a reload
    await office.ask(after=400)
    assert Question.ANALYTICS not in await office.pending()
    assert await office.warning(warnings.ANALYTICS_PAUSED) is None


@pytest.mark.parametrize("fault", ["broken", "edge", "drop", "truncated"])
async def test_an_outage_ends_no_question(office: Office, fault: str) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed(queue()))
    await office.receive(call.ended("call_uuid", "call_id"))
    for _ in range(9):
        office.cloudtalk.faults.append(fault)
        office.enricher.set_settings(office.settings)
        await office.ask(after=3_600)
    office.cloudtalk.faults.clear()
    office.enricher.set_settings(office.settings)
    await office.ask(after=4 * 3_600)
    assert (await office.call(ID)).missed_reason == "nobody picked up"


@pytest.mark.parametrize("fault", ["refused", "page", "large"])
async def test_an_answer_that_cannot_be_used_counts_as_an_attempt(office: Office, fault: str) -> None:
    call = past(office)
    know(office.cloudtalk, call, **missed(queue()))
    await office.receive(call.ended("call_uuid", "call_id"))
    with capture_logs() as logs:
        for _ in range(8):
            office.cloudtalk.faults.append(fault)
            await office.ask(after=2_000)
            office.enricher.set_settings(office.settings)
    given_up = [line["question"] for line in logs if line["event"] == "enrich.given_up"]
    assert given_up == [Question.ANALYTICS]
    assert len(office.cloudtalk.asked) == 6
    assert await office.pending() == set()


async def test_an_answer_that_breaks_the_parser_stops_no_other_question(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, other = past(office), past(office, number=2)
    know(office.cloudtalk, odd, **missed({"type": "odd"}))
    know(office.cloudtalk, other, **missed(queue()))

    def parse_analytics(answer: dict[str, Any]) -> dict[str, Any]:
        if answer["call_steps"][0]["type"] == "odd":
            raise TypeError("unhashable type: 'list'")
        return analytics.parse_analytics(answer)

    monkeypatch.setattr("relay.cloudtalk.enrichment.parse_analytics", parse_analytics)
    await office.receive(odd.ended("call_uuid", "call_id"))
    await office.receive(other.ended("call_uuid", "call_id"))
    with capture_logs() as logs:
        for _ in range(6):
            await office.ask(after=2_000)
    assert (await office.call(f"{ID[:-1]}2")).missed_reason == "nobody picked up"
    assert [line["reason"] for line in logs if line["event"] == "enrich.given_up"] == ["fault"]


async def test_an_api_that_always_refuses_by_its_rate_limit_is_paused(office: Office) -> None:
    """Otherwise each of its answers would block the searches of the history for another minute."""
    call = past(office)
    know(office.cloudtalk, call, **missed(queue()))
    await office.receive(call.ended("call_uuid", "call_id"))
    office.cloudtalk.faults.extend(["throttled"] * 3)
    with capture_logs() as logs:
        for _ in range(6):
            await office.ask(after=61)
    assert len(office.cloudtalk.asked) == 3
    assert [line["code"] for line in logs if line["event"] == "enrich.paused"] == ["throttled"]
    assert "other programs" in str(await office.warning(warnings.ANALYTICS_PAUSED))
    office.enricher.set_settings(office.settings)  # as at the end of the pause
    await office.ask(after=61)
    assert (await office.call(ID)).missed_reason == "nobody picked up"
    assert await office.warning(warnings.ANALYTICS_PAUSED) is None


async def test_what_cloudtalk_deleted_is_given_up_at_once(office: Office) -> None:
    call = past(office)
    await office.receive(call.ended("call_uuid", "call_id"))
    office.cloudtalk.faults.append("gone")
    with capture_logs() as logs:
        await office.ask()
    assert [line["reason"] for line in logs if line["event"] == "enrich.given_up"] == ["gone"]
    assert await office.pending() == set()


async def test_a_forgotten_call_is_not_asked_about(office: Office) -> None:
    call = past(office, talking=30)
    transcribe(office.cloudtalk, call)
    await office.receive(call.ended("call_uuid", "call_id"))
    now = office.ledger.now()
    await office.ledger.write(lambda c: erasure.erase_calls(c, [ID], {}, now=now, by_number=False))
    assert await office.pending() == set()
    await office.receive(call.ended("call_uuid", "call_id"))
    await office.ask()
    assert office.cloudtalk.asked == []


async def test_nothing_is_asked_that_is_switched_off(office: Office, tmp_path: Any) -> None:
    other = Office(
        office.ledger,
        office.clock,
        office.cloudtalk,
        settings_for(tmp_path, office.cloudtalk, analytics=False),
    )
    await other.receive(past(office).ended("call_uuid", "call_id"))
    await other.receive(past(office, talking=30, number=2).ended("call_uuid", "call_id"))
    assert await other.pending() == set()
