"""The kit finds what a client does wrong: each of these clients has one fault, and one test tells it."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec
import pytest
from pydantic import Field, SecretStr

from crm_clients.base import (
    ClientState,
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.batch import merge_by_call
from crm_clients.conformance import Ability, ClientConformance, Crm, Fault
from crm_clients.rate_limit import RateLimiter
from crm_clients.settings import DestinationSettings

pytest_plugins = ("pytester",)

FAULTS: dict[str, str] = {fault.value: fault for fault in Fault}
SECRET = "s3cr3t-of-the-shelf"
TOLD: dict[Fault, Outcome] = {
    Fault.DOWN: Retry(code="unreachable"),
    Fault.SLOW: Unknown(),
    Fault.RESET: Unknown(),
    Fault.CUT: Unknown(),
    Fault.UNAUTHORISED: Unauthorised(code="401"),
    Fault.THROTTLED: Throttled(after=7),
    Fault.THROTTLED_WITHOUT_WORD: Throttled(),
    Fault.FAILING: Retry(code="500"),
    Fault.UNAVAILABLE: Retry(after=7),
    Fault.GARBAGE: Misconfigured(code="no_api"),
    Fault.MISCONFIGURED: Misconfigured(code="404"),
}


class ShelfSettings(DestinationSettings):
    secret: SecretStr = Field(description="What opens the shelf.")


class ShelfClient(CrmClient[ShelfSettings]):
    """A client without a fault, of a CRM without a network."""

    Settings = ShelfSettings
    shelf: "Shelf"

    async def check(self) -> list[Finding]:
        if self.shelf.fault in {Fault.DOWN, Fault.UNAUTHORISED, Fault.MISCONFIGURED}:
            return [Finding(name="shelf", ok=False, code="shut", problem="It is shut.", hint="Open it.")]
        return [Finding(name="shelf", ok=True)]

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        stop: Outcome | None = None
        outcomes: dict[str, Outcome] = {}
        for push in merge_by_call(pushes).values():
            outcome = stop or await self.bring(push)
            stop = outcome if isinstance(outcome, Throttled | Unauthorised | Misconfigured) else None
            outcomes[push.call.id] = outcome
        return [outcomes[push.call.id] for push in pushes]

    async def bring(self, push: Push) -> Outcome:
        await self.pace.acquire()
        call = push.call
        await self.context.state.set_many({f"number:{call.external_number}": call.id})
        return self.shelf.put(call.id, self.fields(push))

    def fields(self, push: Push) -> dict[str, Any]:
        values = msgspec.to_builtins(push.call)
        known = self.shelf.calls.get(push.call.id)
        names = push.changed if known and not push.first else values
        return {"id": push.call.id} | {name: values[name] for name in names}

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        return [self.take_back(each) for each in retractions]

    def take_back(self, retraction: Retraction) -> Outcome:
        call = retraction.call
        if call.merged_into and self.settings.on_merge == "mark":
            return self.shelf.put(call.id, {"merged_into": call.merged_into}, only_if_there=True)
        return self.shelf.drop(call.id)

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        await self.context.state.set_many({f"number:{r.call.external_number}": None for r in retractions})
        return [self.shelf.drop(r.call.id) for r in retractions]

    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        if self.shelf.fault:
            return TOLD[self.shelf.fault]
        return {push.call.id for push in pushes} - self.shelf.calls.keys()

    @property
    def pace(self) -> RateLimiter:
        if not hasattr(self, "_pace"):
            self._pace = RateLimiter(self.settings.rate)
        return self._pace


class Shelf(Crm):
    Client: ClassVar[type[CrmClient[Any]]] = ShelfClient

    def __init__(self, client: type[ShelfClient] = ShelfClient) -> None:
        self.Client = client  # type: ignore[misc]
        self.calls: dict[str, dict[str, Any]] = {}
        self.doubles: list[dict[str, Any]] = []
        self.fault: Fault | None = None
        self.bad = ""
        self.times: list[float] = []

    def settings(self) -> dict[str, Any]:
        return {"secret": SECRET}

    def client(self, memory: ClientState, **settings: Any) -> CrmClient[Any]:
        made = super().client(memory, **settings)
        assert isinstance(made, ShelfClient)
        made.shelf = self
        return made

    def records(self, call_id: str) -> list[dict[str, Any]]:
        found = [self.calls[call_id]] if call_id in self.calls else []
        return found + [double for double in self.doubles if double["id"] == call_id]

    def edit(self, call_id: str, field: str, text: str) -> None:
        self.calls[call_id][field] = text

    def remove(self, call_id: str) -> None:
        del self.calls[call_id]

    def writes(self) -> list[float]:
        return self.times

    @contextmanager
    def refusing(self, call_id: str) -> Iterator[None]:
        self.bad = call_id
        yield
        self.bad = ""

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        yield
        self.fault = None

    def put(self, call_id: str, fields: dict[str, Any], *, only_if_there: bool = False) -> Outcome:
        self.times.append(time.monotonic())
        if self.fault:
            return TOLD[self.fault]
        if call_id == self.bad:
            return Rejected(code="bad", message="no such customer")
        if call_id in self.calls or not only_if_there:
            self.calls[call_id] = self.calls.get(call_id, {}) | fields
        return Delivered(remote_id=call_id)

    def drop(self, call_id: str) -> Outcome:
        self.times.append(time.monotonic())
        if self.fault:
            return TOLD[self.fault]
        self.calls.pop(call_id, None)
        return Delivered()


class TestAClientWithoutAFault(ClientConformance):
    @pytest.fixture
    def crm(self) -> Shelf:
        return Shelf()


# --- one fault each ---------------------------------------------------------------------------


class Doubles(ShelfClient):
    """Makes a record of each push."""

    async def bring(self, push: Push) -> Outcome:
        if push.call.id in self.shelf.calls:
            self.shelf.doubles.append({"id": push.call.id})
        return await super().bring(push)


class SendsTheOldest(ShelfClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return [await self.bring(push) for push in sorted(pushes, key=lambda push: -push.call.version)]


class WritesOver(ShelfClient):
    def fields(self, push: Push) -> dict[str, Any]:
        return super().fields(msgspec.structs.replace(push, first=True))


class WritesParts(ShelfClient):
    def fields(self, push: Push) -> dict[str, Any]:
        values = msgspec.to_builtins(push.call)
        return {"id": push.call.id} | {name: values[name] for name in push.changed}


class CutsTexts(ShelfClient):
    def fields(self, push: Push) -> dict[str, Any]:
        return {k: v[:100] if isinstance(v, str) else v for k, v in super().fields(push).items()}


class TurnsTheOrder(ShelfClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return sorted(await super().upsert(pushes), key=lambda outcome: outcome.name)


class LosesOne(ShelfClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return (await super().upsert(pushes))[:1]


class Raises(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        if self.shelf.fault is Fault.DOWN:
            raise ConnectionError("refused")
        return await super().bring(push)


class TriesForever(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        outcome = await super().bring(push)
        return Retry(code="401") if isinstance(outcome, Unauthorised) else outcome


class ForgetsTheWait(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        outcome = await super().bring(push)
        return Throttled() if isinstance(outcome, Throttled) else outcome


class Hammers(ShelfClient):
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        return [await self.bring(push) for push in pushes]


class Hurries(ShelfClient):
    @property
    def pace(self) -> RateLimiter:
        return RateLimiter()


class SplitsForever(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        outcome = await super().bring(push)
        return Split(code="bad") if isinstance(outcome, Rejected) else outcome


class TellsTheSecret(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        outcome = await super().bring(push)
        return msgspec.structs.replace(outcome, message=f"sent Authorization: {SECRET}")


class LogsTheSecret(ShelfClient):
    async def bring(self, push: Push) -> Outcome:
        logging.getLogger("shelf").warning("opened with %s", self.settings.secret.get_secret_value())
        return await super().bring(push)


class MarksWhatIsNotThere(ShelfClient):
    def take_back(self, retraction: Retraction) -> Outcome:
        call = retraction.call
        return self.shelf.put(call.id, {"id": call.id, "merged_into": call.merged_into})


class RemembersTheForgotten(ShelfClient):
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        return [self.shelf.drop(r.call.id) for r in retractions]


class NeverMisses(ShelfClient):
    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        return set() if self.shelf.fault else await super().missing(pushes[:0])


class TakesAnOutageForALoss(ShelfClient):
    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        return {push.call.id for push in pushes} - (set() if self.shelf.fault else self.shelf.calls.keys())


class GivesNoHint(ShelfClient):
    async def check(self) -> list[Finding]:
        return [msgspec.structs.replace(finding, hint=None) for finding in await super().check()]


class ChecksByWriting(ShelfClient):
    async def check(self) -> list[Finding]:
        self.shelf.put("cloudtalk-1", {"id": "cloudtalk-1"})
        return await super().check()


@pytest.mark.parametrize(
    ("client", "told_by", "in_words"),
    [
        (Doubles, "test_the_same_pushes_twice_make_one_record_each", "2 records"),
        (SendsTheOldest, "test_a_call_that_stands_twice_in_a_batch_", "newest version"),
        (WritesOver, "test_what_changed_comes_and_what_a_person_wrote_stays", "push.changed"),
        (WritesParts, "test_a_record_that_a_person_deleted_comes_back_whole_", "every field"),
        (CutsTexts, "test_texts_arrive_as_people_typed_them[long]", "change nothing"),
        (TurnsTheOrder, "test_a_refused_record_is_told_apart_from_the_others", "in the order of the pushes"),
        (LosesOne, "test_the_same_pushes_twice_make_one_record_each", "one outcome for each"),
        (Raises, "test_a_fault_comes_back_as_its_outcome[down]", "raised ConnectionError"),
        (TriesForever, "test_a_fault_comes_back_as_its_outcome[unauthorised]", "waits for a person"),
        (ForgetsTheWait, "test_the_wait_that_the_crm_asks_for_is_passed_on", "Retry-After: 7"),
        (Hammers, "test_a_crm_that_asks_for_less_is_not_asked_on", "unsent"),
        (Hurries, "test_the_rate_is_held", "its turn"),
        (SplitsForever, "test_a_refused_record_that_stands_alone_is_rejected", "Rejected"),
        (TellsTheSecret, "test_a_first_push_makes_one_whole_record", "tells a secret"),
        (MarksWhatIsNotThere, "test_a_record_that_is_not_there_is_as_good_as_gone[mark]", "on what is there"),
        (RemembersTheForgotten, "test_what_is_forgotten_is_gone_from_the_crm_", "keeps None"),
        (NeverMisses, "test_missing_finds_the_records_that_a_person_deleted_", "found set()"),
        (TakesAnOutageForALoss, "test_missing_says_when_it_could_not_look", "every record for lost"),
        (GivesNoHint, "test_a_check_finds_it_and_says_what_to_do[down]", "what a person should do"),
        (ChecksByWriting, "test_neither_a_check_nor_a_search_for_missing_records_", "both only look"),
    ],
)
def test_a_fault_of_a_client_is_told_and_what_to_do(
    client: type[ShelfClient], told_by: str, in_words: str
) -> None:
    name, _, parameter = told_by.rstrip("]").partition("[")
    test = next(
        getattr(ClientConformance(), each) for each in dir(ClientConformance) if each.startswith(name)
    )
    with pytest.raises(pytest.fail.Exception, match=re.escape(in_words)):
        test(Shelf(client), *filter(None, [FAULTS.get(parameter, parameter)]))


def test_a_secret_in_a_log_line_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from crm_clients.conformance import ClientConformance
        from tests.crm_clients.test_conformance import LogsTheSecret, Shelf

        class TestIt(ClientConformance):
            @pytest.fixture
            def crm(self):
                return Shelf(LogsTheSecret)
        """
    )
    result = pytester.runpytest_inprocess("-k", "first_push", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*a secret of the settings stands in a log line*"])


def test_a_kit_without_a_crm_says_what_it_needs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from crm_clients.conformance import ClientConformance

        class TestIt(ClientConformance):
            pass
        """
    )
    result = pytester.runpytest_inprocess("-k", "first_push", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.stdout.fnmatch_lines(["*TestIt needs a fixture `crm`*"])


def test_what_a_crm_lacks_is_skipped_by_name() -> None:
    class Poor(Shelf):
        lacks = frozenset({Ability.COUNTING})

    with pytest.raises(pytest.skip.Exception, match=r"Poor lacks Ability\.COUNTING"):
        ClientConformance().test_the_rate_is_held(Poor())


def test_without_pytest_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest'] = None; import crm_clients.conformance"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert "ImportError: crm_clients.conformance is a kit for pytest" in ended.stderr
    assert "pip install pytest" in ended.stderr
