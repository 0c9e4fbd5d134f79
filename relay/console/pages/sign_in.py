"""Sign-in and sign-out."""

from starlette.responses import Response

from relay.console import sessions
from relay.console.visit import Visit
from relay.instants import SECOND, Instant, duration
from relay.ledger import signed_out
from relay.logs import get_logger

log = get_logger("relay.console")


def ask(visit: Visit, *, next_page: str, problem: str = "", status: int = 401) -> Response:
    """Return the form of the sign-in. `next_page`: where the person goes after it."""
    return visit.render("sign_in.html", http_status=status, next_page=next_page, problem=problem)


async def sign_in(visit: Visit) -> Response:
    """Begin a session if the token is in the settings.

    A listed token always opens the console: somebody else's wrong ones must not lock a person out.
    """
    next_page = visit.field("next")
    token = sessions.find_token(visit.field("token").strip(), visit.console.tokens)
    if token is not None:
        session = visit.begin_session(token)
        log.info("console.signed_in", session=session.name, client=visit.head.client)
        return visit.redirect_back(next_page)
    seconds = visit.console.failures.record(visit.head.client, "wrong_token")
    texts = visit.texts.sign_in
    if seconds is None:
        return ask(visit, next_page=next_page, problem=texts.wrong)
    response = ask(visit, next_page=next_page, problem=texts.throttled.format(seconds=seconds), status=429)
    response.headers["retry-after"] = str(seconds)
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session: its cookie is not accepted any more, not even a copy of it."""
    session = visit.session
    if session is not None and session.is_signed_in:
        hours = visit.console.settings.console.session_hours
        until = Instant(session.began_at * SECOND + duration(hours * 3600))
        now = visit.console.ledger.now()
        await visit.console.ledger.write(
            lambda connection: signed_out.add(connection, session.id, until=until, now=now)
        )
        log.info("console.signed_out", session=session.name, client=visit.head.client)
    visit.begin_session()
    return visit.redirect("")
