"""A call that is not in the CRM, for each cause: produced on a ledger by the parts of the relay."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from click.testing import Result
from sqlalchemy import delete, update

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised
from relay.call import CallEvent, Kind
from relay.delivery import RetryPolicy
from relay.instants import SECOND, Instant
from relay.ledger import destinations, erasure, journal, retention_queries, tables
from relay.ledger.journal import NewEvent
from relay.ledger.lease_holder import Lease
from relay.ledger.leases import delivery_lease
from relay.ledger.states import DeliveryState
from tests.support.clock import Clock
from tests.support.delivering import POLICY, Delivering, always, delivering
from tests.support.home import LOCAL, Home
from tests.support.samples import make_event_with_ids

UUID = "a1b2c3d4-0000-4000-8000-00000000abcd"
DAY = 86_400 * SECOND
SUMMER = 1_719_828_000 * SECOND  # 2024-07-01T10:00:00Z
TWO = LOCAL + LOCAL.replace("crm", "late")


class Scene:
    """A home whose ledger a worker on a fake CRM, `crm`, uses as well."""

    def __init__(self, home: Home, relay: Delivering) -> None:
        self.home = home
        self.relay = relay
        self.settings: dict[str, Any] = {}

    async def start_call(self, kind: Kind = Kind.STARTED, name: str = "1", **facts: Any) -> None:
        await self.relay.add_event(kind, name, **{"direction": "inbound"} | facts)

    async def deliver(
        self, answer: Outcome | None = None, *, until: str, policy: RetryPolicy = POLICY, **fields: Any
    ) -> None:
        """Let the worker push until the delivery is as given. `answer`: of the CRM, which else takes all."""
        if answer is not None:
            self.relay.crm.answer = always(answer)
        async with self.relay.worker(policy, **self.settings):
            await self.relay.wait_for(until, **fields)

    async def pause(self, outcome: Outcome, *, calls: int = 1) -> None:
        """Let the CRM answer with this until the destination pauses."""
        self.relay.crm.answer = always(outcome)
        async with self.relay.worker(batch=1):
            for number in range(1, calls + 1):
                await self.start_call(name=str(number))
            await self.relay.wait_for_pause()

    def filter(self, **when: Any) -> None:
        """Give the destination a filter, in the settings file and in the worker."""
        lines = (f"{name} = {json.dumps(value)}" for name, value in when.items())
        self.home.write_settings("\n".join([LOCAL, "[destinations.crm.when]", *lines]))
        self.settings = {"when": when}

    def update(self, rule: str) -> None:
        """Give the destination this rule of updates, in the settings file and in the worker."""
        self.home.write_settings(f'{LOCAL}\nupdate = "{rule}"')
        self.settings = {"update": rule}

    async def hold(self) -> None:
        """Let the worker look at the call, and let it wait."""
        async with self.relay.worker(**self.settings), asyncio.timeout(20):
            while not (await self.relay.delivery()).is_held:
                await asyncio.sleep(0.01)

    async def append(self, *events: CallEvent) -> None:
        for event in events:
            self.relay.clock.advance(0.001)
            row = NewEvent(
                self.relay.ledger.now(), "application/json", "/cloudtalk/webhook", "", b"{}", event
            )
            await self.relay.ledger.write(partial(journal.append, new=[row]))

    async def fold(self) -> None:
        while await self.relay.fold.fold_batch():
            pass

    async def run(self, *command: str) -> Result:
        return await asyncio.to_thread(self.home.run, *command)

    async def command(self, *command: str) -> None:
        """Run a command that succeeds."""
        result = await self.run(*command)
        assert result.exit_code == 0, result.output

    async def serve(self) -> None:
        """Hold the lease of the destination, as a relay does that delivers to it."""
        await Lease(self.relay.ledger, delivery_lease("crm"), seconds=600).preempt()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    clock = Clock(time.time_ns() // 1_000)
    async with delivering(f"sqlite:///{folder / 'relay.db'}", clock, grace_seconds=120) as relay:
        yield Scene(Home(folder), relay)


# --- each cause -----------------------------------------------------------------------------------------


async def delivered(scene: Scene) -> None:
    await scene.start_call()
    await scene.deliver(until="delivered")


async def delivered_partly(scene: Scene) -> None:
    await scene.start_call()
    answer = Delivered(remote_id="r", code="no_contact", message="two contacts")
    await scene.deliver(answer, until="delivered")


async def paused_by_a_person(scene: Scene) -> None:
    await scene.start_call()
    await scene.command("destinations", "pause", "crm")


async def unauthorised(scene: Scene) -> None:
    await scene.pause(Unauthorised(code="401", message="bad key"))


async def misconfigured(scene: Scene) -> None:
    await scene.pause(Misconfigured(code="42P01", message="no table calls"))


async def failing(scene: Scene) -> None:
    await scene.pause(Retry(code="503", message="it is down"), calls=6)


async def throttled(scene: Scene) -> None:
    await scene.pause(Throttled(after=60, code="429", message="slow down"))


async def disabled(scene: Scene) -> None:
    await scene.start_call()
    scene.home.write_settings(LOCAL + "enabled = false")


async def orphaned(scene: Scene) -> None:
    await scene.start_call()
    scene.home.write_settings("")


async def pending(scene: Scene) -> None:
    await scene.start_call()


async def retried(scene: Scene) -> None:
    await scene.start_call()
    await scene.deliver(Retry(code="503", message="it is\n{down}"), until="pending", attempts=1)


async def rate_limited(scene: Scene) -> None:
    await scene.start_call()
    throttled = Throttled(after=60, code="429", message="slow down", rate_limit="search")
    await scene.deliver(throttled, until="pending", outcome="throttled")


async def filtered(scene: Scene) -> None:
    scene.filter(directions=["outbound"])
    await scene.start_call()
    await scene.deliver(until="filtered")


async def held_until_its_end(scene: Scene) -> None:
    scene.update("complete")
    await scene.start_call()
    await scene.hold()


async def held_for_its_notes(scene: Scene) -> None:
    scene.update("never")
    await scene.start_call(Kind.MISSED)
    await scene.hold()


async def held_with_an_older_version(scene: Scene) -> None:
    scene.update("complete")
    await delivered_after_its_end(scene)
    await scene.start_call(Kind.MODIFIED, notes="later")
    await scene.hold()


async def not_updated(scene: Scene) -> None:
    scene.update("never")
    await delivered_after_its_end(scene)
    await scene.start_call(Kind.MODIFIED, notes="later")
    await scene.deliver(until="delivered", version=2)


async def delivered_after_its_end(scene: Scene) -> None:
    await scene.start_call(Kind.MISSED)
    scene.relay.clock.advance(60)
    await scene.deliver(until="delivered")


async def filter_changed(scene: Scene) -> None:
    await filtered(scene)
    scene.home.write_settings(LOCAL)


async def internal(scene: Scene) -> None:
    await scene.start_call(direction="internal")
    await scene.deliver(until="filtered")


async def rejected(scene: Scene) -> None:
    await scene.start_call()
    await scene.deliver(Rejected(code="22P05", message="no such column"), until="dead")


async def rejected_after_pause(scene: Scene) -> None:
    """A person resumes the destination, replays the dead letter and the call, pauses, and replays all."""
    await scene.start_call()
    await scene.command("destinations", "resume", "crm")
    await scene.deliver(Rejected(code="22P05", message="no such column"), until="dead")
    await scene.command("dead", "replay", "cloudtalk-1")
    await scene.command("replay", "--call", "cloudtalk-1")
    await scene.command("destinations", "pause", "crm")
    await scene.command("replay", "--destination", "crm")


async def gave_up(scene: Scene) -> None:
    await retried(scene)
    # The destination takes another call between the two attempts.
    scene.relay.clock.advance(1)
    at = scene.relay.ledger.now()
    await scene.relay.ledger.write(partial(destinations.set_delivered_at, name="crm", now=at))
    scene.relay.clock.advance(3_000)
    policy = RetryPolicy(30, 3_600, give_up_after_hours=0.01)
    await scene.deliver(Retry(code="503", message="it is down"), until="dead", policy=policy)


async def dropped(scene: Scene) -> None:
    await rejected(scene)
    await scene.command("dead", "drop", "cloudtalk-1")


async def retracted(scene: Scene) -> None:
    await delivered(scene)
    await scene.start_call(Kind.ENDED, direction="internal")
    await scene.deliver(until="retracted")


async def newer_version(scene: Scene) -> None:
    await delivered(scene)
    await scene.start_call(Kind.ANSWERED, agent_name="Eva")


async def merged(scene: Scene) -> None:
    """The call 42 is merged into the one with the uuid, which began before it."""
    for aliases in ((f"uuid:{UUID}",), ("id:42",), (f"uuid:{UUID}", "id:42")):
        await scene.append(make_event_with_ids(Kind.STARTED, *aliases))
        await scene.fold()


async def linked(scene: Scene) -> None:
    """The second event names a call_id of the call that began with its uuid alone."""
    await scene.append(
        make_event_with_ids(Kind.STARTED, f"uuid:{UUID}"),
        make_event_with_ids(Kind.ANSWERED, f"uuid:{UUID}", "id:42"),
        make_event_with_ids(Kind.RECORDING, "id:42"),
    )
    await scene.fold()


async def not_enqueued(scene: Scene) -> None:
    await scene.start_call()
    scene.home.write_settings(TWO)


async def no_destination(scene: Scene) -> None:
    await scene.relay.ledger.write(lambda c: c.execute(delete(tables.destinations)))
    scene.home.write_settings("")
    await scene.start_call()


async def waiting(scene: Scene) -> None:
    await scene.append(make_event_with_ids(Kind.RECORDING, "id:42"))
    await scene.fold()


async def not_folded(scene: Scene) -> None:
    await scene.append(make_event_with_ids(Kind.STARTED, "id:42"))


async def set_aside(scene: Scene) -> None:
    await not_folded(scene)
    await scene.relay.ledger.write(lambda c: journal.set_aside(c, 1, "ValueError('a bug')"))


async def quarantined(scene: Scene) -> None:
    body = {"event": "call.exploded", "data": {"id": "42"}}
    await asyncio.to_thread(scene.home.run_relay, body, until=lambda status: status.events.quarantined == 1)


async def pruned(scene: Scene) -> None:
    await delivered(scene)
    now = Instant(scene.relay.ledger.now() + DAY)
    await scene.relay.ledger.write(
        lambda c: retention_queries.delete_old_calls(c, before=now, now=scene.relay.ledger.now())
    )


async def forgotten(scene: Scene, *, is_refused: bool = False) -> None:
    """Forgotten, and not erased by the CRM."""
    await delivered(scene)
    ledger = scene.relay.ledger
    await ledger.write(
        lambda c: erasure.erase_calls(
            c, ["cloudtalk-1"], {"crm": frozenset()}, now=ledger.now(), by_number=False
        )
    )
    if is_refused:
        values = {"state": DeliveryState.DEAD, "code": "locked", "message": "The record is locked."}
        await ledger.write(lambda c: c.execute(update(tables.deliveries).values(values)))


async def unknown(scene: Scene) -> None:
    await scene.start_call()


async def nothing(scene: Scene) -> None:
    """No event arrives."""
