"""The set-up: destinations, the check, a test call, what to enter in CloudTalk, and the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from relay.console.templating import environment
from relay.console.visit import Fragment, Visit
from relay.ledger.connection import Connection
from relay.operations import destination_actions
from relay.operations.check import is_good, run_checks
from relay.operations.settings_view import view_settings
from relay.operations.setup_guide import build_guide, signed_steps
from relay.operations.setup_guide_texts import TEXTS, Lang
from relay.operations.status import DestinationStatus, list_destinations
from relay.operations.test_call import CallTest, Step

_STREAMED: Final = "[streamed]"
"""Where the template has what comes later."""

_tests: set[asyncio.Task[None]] = set()
"""The test call under way in this process. It goes on if the browser leaves, so that it is removed."""


async def show(visit: Visit) -> Response:
    """Show the set-up."""
    return visit.render(
        "set_up.html",
        **_values(visit),
        destinations=await _render_destinations(visit),
        done=visit.query("done"),
        name=visit.query("name"),
    )


async def show_destinations(visit: Visit) -> Response:
    """Return the destinations if they have changed, for a page that is open."""
    return visit.respond_with(await _render_destinations(visit))


async def _render_destinations(visit: Visit) -> Fragment:
    delivered = (await visit.console.totals.get()).delivered
    listed = await visit.console.ledger.view(lambda c: list_destinations(c, visit.situation, delivered))
    return visit.render_part(
        "set_up_destinations.html",
        destinations=[*listed, *_not_registered(visit, listed)],
        done=visit.query("done"),
        name=visit.query("name"),
    )


def _values(visit: Visit) -> dict[str, Any]:
    settings = visit.console.settings
    language: Lang = "es" if visit.texts.code == "es" else "en"
    guide, texts = build_guide(settings, language, shows_token=False), TEXTS[language]
    return {
        "guide": guide,
        "guide_texts": texts,
        "steps": signed_steps(guide.signed, texts),
        "sections": view_settings(settings),
        "has_tokens": bool(settings.cloudtalk.tokens),
    }


def _not_registered(visit: Visit, listed: list[DestinationStatus]) -> list[str]:
    return sorted(set(visit.console.settings.destinations) - {each.name for each in listed})


# --- destinations -----------------------------------------------------------------------------------


async def act(visit: Visit) -> Response:
    """Pause, resume or probe a destination."""
    name, action = visit.field("name"), visit.field("action")
    settings, now = visit.console.settings, visit.console.ledger.now()
    who = visit.session.name if visit.session else ""
    actions: dict[str, Callable[[Connection], object]] = {
        "pause": lambda c: destination_actions.pause(c, settings, name, who=who, now=now),
        "resume": lambda c: destination_actions.resume(c, settings, name, who=who, now=now),
        "probe": lambda c: destination_actions.probe(c, settings, name, who=who, now=now),
    }
    if action not in actions or name not in settings.destinations:
        raise HTTPException(404)
    visit.log_action(f"destination.{action}", target=name)
    await visit.console.ledger.write(actions[action])
    return visit.redirect("set-up", f"crm-{name}", done=action, name=name)


# --- check and test call ----------------------------------------------------------------------------


async def check(visit: Visit) -> Response:
    """Run the checks, and show the findings as soon as they are known."""
    visit.log_action("check")

    async def parts() -> AsyncIterator[str]:
        yield _part("set_up_waiting.html", visit)
        # What failed comes first, then the warnings.
        findings = sorted(
            await run_checks(visit.console.settings), key=lambda each: (each.ok, each.problem is None)
        )
        yield _part("set_up_findings.html", visit, findings=findings, is_good=is_good(findings))

    return _stream(visit, visit.texts.set_up.check, parts())


async def send_test(visit: Visit) -> Response:
    """Send a test call, and show each step as it happens."""
    visit.log_action("test_call")
    steps: asyncio.Queue[Step | None] = asyncio.Queue()
    is_first = not _tests
    if is_first:
        test = CallTest(visit.console.settings, on_step=steps.put_nowait)
        task = asyncio.create_task(_run_test(test, steps))
        _tests.add(task)
        task.add_done_callback(_tests.discard)

    async def parts() -> AsyncIterator[str]:
        if not is_first:
            yield _part("set_up_busy.html", visit)
            return
        shown: list[Step] = []
        while (step := await steps.get()) is not None:
            if not step.is_final or step not in shown:
                yield _part("set_up_step.html", visit, step=step)
            shown.append(step)
        failed = any(step.state == "failed" for step in shown)
        yield _part("set_up_end.html", visit, failed=failed)

    return _stream(visit, visit.texts.set_up.test, parts())


async def _run_test(test: CallTest, steps: asyncio.Queue[Step | None]) -> None:
    try:
        await test.run()
    finally:
        steps.put_nowait(None)


def _stream(visit: Visit, title: str, parts: AsyncIterator[str]) -> Response:
    """Send the page up to where its result stands, then each part, then the rest of the page."""
    page = visit.render("set_up_run.html", title=title, here="set-up", streamed=_STREAMED)
    head, _, tail = bytes(page.body).decode().partition(_STREAMED)

    async def stream() -> AsyncIterator[str]:
        yield head
        async for part in parts:
            yield part
        yield tail

    return StreamingResponse(stream(), media_type="text/html", headers={"x-accel-buffering": "no"})


def _part(template: str, visit: Visit, **values: Any) -> str:
    return environment().get_template(template).render(visit=visit, t=visit.texts, **values)
