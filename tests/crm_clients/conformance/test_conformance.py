"""The kit finds the bug of each of these clients, and its message says what to do."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec
import pytest
from pydantic import Field, SecretStr

from crm_clients import (
    DELIVERED_FIELDS,
    ClientState,
    CrmClient,
    Delivered,
    DestinationFailure,
    DestinationSettings,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    RateLimiter,
    Rejected,
    Retraction,
    Retry,
    Split,
    Stored,
    Throttled,
    Unauthorised,
    Unknown,
    merge_by_call,
)
from crm_clients.conformance import Capability, ClientConformance, Crm, Fault

pytest_plugins = ("pytester",)

FAULTS: dict[str, str] = {fault.value: fault for fault in Fault}
SECRET = "s3cr3t-of-the-crm"
OUTCOMES: dict[Fault, Outcome] = {
    Fault.DOWN: Retry(code="unreachable"),
    Fault.HANGING: Unknown(),
    Fault.CLOSED_BEFORE_WRITE: Unknown(),
    Fault.CLOSED_AFTER_WRITE: Unknown(),
    Fault.UNAUTHORISED: Unauthorised(code="401"),
    Fault.THROTTLED: Throttled(after=7),
    Fault.THROTTLED_WITHOUT_RETRY_AFTER: Throttled(),
    Fault.SERVER_ERROR: Retry(code="500"),
    Fault.UNAVAILABLE: Retry(after=7),
    Fault.HTML_PAGE: Misconfigured(code="no_api"),
    Fault.ENDLESS_ANSWER: Retry(code="answer_too_large"),
    Fault.MISCONFIGURED: Misconfigured(code="404"),
}


class MemorySettings(DestinationSettings):
    secret: SecretStr = Field(description="The secret.")


class MemoryClient(CrmClient[MemorySettings]):
    """A client without a bug, for a CRM in memory."""

    Settings = MemorySettings
    crm: "MemoryCrm"

    async def check(self) -> list[Finding]:
        if self.crm.fault in {Fault.DOWN, Fault.UNAUTHORISED, Fault.MISCONFIGURED}:
            return [Finding(name="crm", ok=False, code="down", problem="It is down.", hint="Start it.")]
        return [Finding(name="crm", ok=True)]

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        stop: Outcome | None = None
        outcomes: dict[str, Outcome] = {}
        for push in merge_by_call(pushes).values():
            outcome = stop or await self.write(push)
            stop = outcome if isinstance(outcome, DestinationFailure) else None
            outcomes[push.call.id] = outcome
        return [outcomes[push.call.id] for push in pushes]

    async def write(self, push: Push) -> Outcome:
        await self.rate_limiter.acquire()
        call = push.call
        await self.context.state.set_many({f"number:{call.external_number}": call.id})
        return self.crm.put(call.id, self.fields(push))

    def fields(self, push: Push) -> dict[str, Any]:
        values = msgspec.to_builtins(push.call)
        existing = self.crm.calls.get(push.call.id)
        names = push.changed if existing and (push.partial or not push.first) else values
        return {"id": push.call.id} | {name: values[name] for name in names}

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        return [self.retract_one(each) for each in retractions]

    def retract_one(self, retraction: Retraction) -> Outcome:
        call = retraction.call
        if call.merged_into and self.settings.on_merge == "mark":
            return self.crm.put(call.id, {"merged_into": call.merged_into}, only_if_there=True)
        return self.crm.delete(call.id)

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        await self.context.state.set_many({f"number:{r.call.external_number}": None for r in retractions})
        return [self.crm.delete(r.call.id) for r in retractions]

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        if self.crm.fault:
            return OUTCOMES[self.crm.fault]
        return {push.call.id: self.find(push) for push in pushes if push.call.id in self.crm.calls}

    def find(self, push: Push) -> list[Stored]:
        record, values = self.crm.calls[push.call.id], msgspec.to_builtins(push.call)
        different = {name for name in push.changed if values[name] != record.get(name)}
        own = Stored(push.call.id, record.get("version"), frozenset(different))
        return [own, *(Stored("copy") for each in self.crm.duplicates if each["id"] == push.call.id)]

    @property
    def rate_limiter(self) -> RateLimiter:
        if not hasattr(self, "_rate_limiter"):
            self._rate_limiter = RateLimiter(self.settings.rate)
        return self._rate_limiter


class MemoryCrm(Crm):
    Client: ClassVar[type[CrmClient[Any]]] = MemoryClient

    def __init__(self, client: type[MemoryClient] = MemoryClient) -> None:
        self.Client = client  # type: ignore[misc]
        self.calls: dict[str, dict[str, Any]] = {}
        self.duplicates: list[dict[str, Any]] = []
        self.fault: Fault | None = None
        self.bad = ""
        self.times: list[float] = []

    def settings(self) -> dict[str, Any]:
        return {"secret": SECRET}

    def make_client(self, state: ClientState, **settings: Any) -> CrmClient[Any]:
        made = super().make_client(state, **settings)
        assert isinstance(made, MemoryClient)
        made.crm = self
        return made

    def records(self, call_id: str) -> list[dict[str, Any]]:
        found = [self.calls[call_id]] if call_id in self.calls else []
        return found + [duplicate for duplicate in self.duplicates if duplicate["id"] == call_id]

    def edit(self, call_id: str, field: str, text: str) -> None:
        self.calls[call_id][field] = text

    def double(self, call_id: str) -> None:
        self.duplicates.append({"id": call_id})

    def remove(self, call_id: str) -> None:
        del self.calls[call_id]

    def write_times(self) -> list[float]:
        return self.times

    @contextmanager
    def reject(self, call_id: str) -> Iterator[None]:
        self.bad = call_id
        yield
        self.bad = ""

    @contextmanager
    def inject(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        yield
        self.fault = None

    def put(self, call_id: str, fields: dict[str, Any], *, only_if_there: bool = False) -> Outcome:
        self.times.append(time.monotonic())
        if self.fault:
            return OUTCOMES[self.fault]
        if call_id == self.bad:
            return Rejected(code="bad", message="no such customer")
        if call_id in self.calls or not only_if_there:
            self.calls[call_id] = self.calls.get(call_id, {}) | fields
        return Delivered(remote_id=call_id)

    def delete(self, call_id: str) -> Outcome:
        self.times.append(time.monotonic())
        if self.fault:
            return OUTCOMES[self.fault]
        self.calls.pop(call_id, None)
        return Delivered()


class TestAClientWithoutABug(ClientConformance):
    @pytest.fixture
    def crm(self) -> MemoryCrm:
        return MemoryCrm()


# --- clients with one bug each ---------------------------------------------------------------------------


class CreatesDuplicates(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        if push.call.id in self.crm.calls:
            self.crm.duplicates.append({"id": push.call.id})
        return await super().write(push)


class SendsTheOldestVersion(MemoryClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return [await self.write(push) for push in sorted(pushes, key=lambda push: -push.call.version)]


class OverwritesEdits(MemoryClient):
    def fields(self, push: Push) -> dict[str, Any]:
        return super().fields(msgspec.structs.replace(push, first=True))


class WritesIncompleteRecords(MemoryClient):
    def fields(self, push: Push) -> dict[str, Any]:
        values = msgspec.to_builtins(push.call)
        return {"id": push.call.id} | {name: values[name] for name in push.changed}


class TruncatesTexts(MemoryClient):
    def fields(self, push: Push) -> dict[str, Any]:
        return {k: v[:100] if isinstance(v, str) else v for k, v in super().fields(push).items()}


class SortsTheOutcomes(MemoryClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return sorted(await super().upsert(pushes), key=lambda outcome: outcome.name)


class LosesAnOutcome(MemoryClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return (await super().upsert(pushes))[:1]


class Raises(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        if self.crm.fault is Fault.DOWN:
            raise ConnectionError("refused")
        return await super().write(push)


class RetriesWrongCredentials(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        outcome = await super().write(push)
        return Retry(code="401") if isinstance(outcome, Unauthorised) else outcome


class ReadsEndlessAnswers(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        self.crm.endless_answers_read += self.crm.fault is Fault.ENDLESS_ANSWER
        return await super().write(push)


class IgnoresRetryAfter(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        outcome = await super().write(push)
        return Throttled() if isinstance(outcome, Throttled) else outcome


class ContinuesAThrottledBatch(MemoryClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return [await self.write(push) for push in pushes]


class IgnoresTheRate(MemoryClient):
    @property
    def rate_limiter(self) -> RateLimiter:
        return RateLimiter()


class SplitsSingleRecords(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        outcome = await super().write(push)
        return Split(code="bad") if isinstance(outcome, Rejected) else outcome


class ReturnsTheSecret(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        outcome = await super().write(push)
        return msgspec.structs.replace(outcome, message=f"sent Authorization: {SECRET}")


class LogsTheSecret(MemoryClient):
    async def write(self, push: Push) -> Outcome:
        logging.getLogger("client").warning("opened with %s", self.settings.secret.get_secret_value())
        return await super().write(push)


class CreatesRecordsWhenMarking(MemoryClient):
    def retract_one(self, retraction: Retraction) -> Outcome:
        call = retraction.call
        return self.crm.put(call.id, {"id": call.id, "merged_into": call.merged_into})


class KeepsStateOfForgottenCustomers(MemoryClient):
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        return [self.crm.delete(r.call.id) for r in retractions]


class OverwritesWithDefaults(MemoryClient):
    def fields(self, push: Push) -> dict[str, Any]:
        return super().fields(msgspec.structs.replace(push, partial=False))


class FindsAllRecords(MemoryClient):
    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]]:
        return {push.call.id: [Stored(push.call.id)] for push in pushes}


class InventsVersions(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        return [Stored(push.call.id, 3)]


class FindsNoRecordDuringAnOutage(MemoryClient):
    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        return {} if self.crm.fault else await super().read(pushes)


class CannotRead(MemoryClient):
    async def read(self, pushes: Sequence[Push]) -> None:
        del pushes


class ComparesForms(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        return [Stored(push.call.id, push.call.version, push.changed & {"started_at"})]


class ComparesNothing(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        return [Stored(push.call.id, self.crm.calls[push.call.id].get("version"))]


class ComparesAllFields(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        return super().find(msgspec.structs.replace(push, changed=frozenset(DELIVERED_FIELDS)))


class OverlooksDoubles(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        return super().find(push)[:1]


class CountsMarkedRecords(MemoryClient):
    def find(self, push: Push) -> list[Stored]:
        marked = [id_ for id_, each in self.crm.calls.items() if each.get("merged_into") == push.call.id]
        return [*super().find(push), *map(Stored, marked)]


class ReadsOnePage(MemoryClient):
    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        return await super().read(pushes[:100])


class ReturnsNoHint(MemoryClient):
    async def check(self) -> list[Finding]:
        return [msgspec.structs.replace(finding, hint=None) for finding in await super().check()]


class WritesDuringACheck(MemoryClient):
    async def check(self) -> list[Finding]:
        self.crm.put("cloudtalk-1", {"id": "cloudtalk-1"})
        return await super().check()


@pytest.mark.parametrize(
    ("client", "test_name", "message"),
    [
        (CreatesDuplicates, "test_the_same_pushes_twice_create_one_record_each", "2 records"),
        (SendsTheOldestVersion, "test_a_call_that_is_twice_in_a_batch_", "newest version"),
        (OverwritesEdits, "test_changed_fields_are_written_and_edits_of_people_stay", "push.changed"),
        (
            WritesIncompleteRecords,
            "test_a_record_that_a_person_deleted_is_created_with_all_fields_",
            "every field",
        ),
        (TruncatesTexts, "test_texts_are_stored_unchanged[long]", "change nothing"),
        (SortsTheOutcomes, "test_a_rejected_record_does_not_affect_the_others", "in the order of the pushes"),
        (LosesAnOutcome, "test_the_same_pushes_twice_create_one_record_each", "one outcome for each"),
        (Raises, "test_a_fault_has_its_outcome[down]", "raised ConnectionError"),
        (RetriesWrongCredentials, "test_a_fault_has_its_outcome[unauthorised]", "until a person"),
        (ReadsEndlessAnswers, "test_an_endless_answer_is_not_read_to_its_end", "stop at a limit"),
        (IgnoresRetryAfter, "test_the_requested_wait_is_part_of_the_outcome", "Retry-After: 7"),
        (ContinuesAThrottledBatch, "test_a_throttled_batch_is_not_continued", "without sending it"),
        (IgnoresTheRate, "test_requests_keep_to_the_rate", "the rate limit"),
        (SplitsSingleRecords, "test_a_single_rejected_record_is_rejected_", "Rejected"),
        (ReturnsTheSecret, "test_a_first_push_creates_one_record_", "returned a secret"),
        (
            CreatesRecordsWhenMarking,
            "test_a_record_that_does_not_exist_counts_as_retracted[mark]",
            "existing records only",
        ),
        (KeepsStateOfForgottenCustomers, "test_forget_deletes_the_record_and_the_client_state", "to None"),
        (OverwritesWithDefaults, "test_a_partial_push_keeps_the_values_", "was unknown to the relay"),
        (
            FindsAllRecords,
            "test_read_has_the_records_that_exist_[compared]",
            "a person deleted",
        ),
        (
            InventsVersions,
            "test_read_has_the_records_that_exist_[compared]",
            "return the version of each record",
        ),
        (CannotRead, "test_read_is_none_if_the_client_cannot_read", "names Capability.LOOKUP"),
        (ComparesForms, "test_read_of_a_written_record_finds_no_difference", "in another form"),
        (ComparesNothing, "test_read_names_the_field_that_a_person_changed", "a person changed 'notes'"),
        (ComparesNothing, "test_read_of_an_older_record_names_what_changed_since", "version 4 changed"),
        (ComparesAllFields, "test_read_names_the_field_that_a_person_changed", "had only 'contact_name'"),
        (OverlooksDoubles, "test_read_names_doubles", "two records"),
        (CountsMarkedRecords, "test_the_marked_record_of_a_merged_call_is_no_double", "as a double"),
        (ReadsOnePage, "test_many_calls_are_read", "`read` found 50"),
        (
            FindsNoRecordDuringAnOutage,
            "test_read_returns_an_outcome_during_a_fault[down]",
            "every record as deleted",
        ),
        (ReturnsNoHint, "test_check_finds_a_fault_and_says_what_to_do[down]", "what a person should do"),
        (WritesDuringACheck, "test_check_and_read_create_no_record", "must only read"),
    ],
)
def test_the_kit_finds_a_bug_and_says_what_to_do(
    client: type[MemoryClient], test_name: str, message: str
) -> None:
    name, _, parameter = test_name.rstrip("]").partition("[")
    test = next(
        getattr(ClientConformance(), each) for each in dir(ClientConformance) if each.startswith(name)
    )
    with pytest.raises(pytest.fail.Exception, match=re.escape(message)):
        test(MemoryCrm(client), *filter(None, [FAULTS.get(parameter, parameter)]))


def test_a_secret_in_a_log_line_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from crm_clients.conformance import ClientConformance
        from tests.crm_clients.conformance.test_conformance import LogsTheSecret, MemoryCrm

        class TestIt(ClientConformance):
            @pytest.fixture
            def crm(self):
                return MemoryCrm(LogsTheSecret)
        """
    )
    result = pytester.runpytest_inprocess("-k", "first_push", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*a log line contains a secret of the settings*"])


def test_without_the_fixture_crm_the_error_names_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from crm_clients.conformance import ClientConformance

        class TestIt(ClientConformance):
            pass
        """
    )
    result = pytester.runpytest_inprocess("-k", "first_push", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.stdout.fnmatch_lines(["*TestIt needs a fixture `crm`*"])


def test_a_test_is_skipped_by_the_name_of_what_is_unsupported() -> None:
    class LimitedCrm(MemoryCrm):
        unsupported = frozenset({Capability.WRITE_TIMES})

    with pytest.raises(pytest.skip.Exception, match=r"LimitedCrm does not support Capability\.WRITE_TIMES"):
        ClientConformance().test_requests_keep_to_the_rate(LimitedCrm())


def test_without_pytest_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest'] = None; import crm_clients.conformance"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert "ImportError: crm_clients.conformance needs pytest" in ended.stderr
    assert "pip install pytest" in ended.stderr
