"""What the status of a response says about a recording."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from relay.recordings.failures import FetchFailed, Reason

if TYPE_CHECKING:
    import httpx


def check_status(response: "httpx.Response") -> None:
    """Raise `FetchFailed` if the response is no recording by its status."""
    status = response.status_code
    match status:
        case HTTPStatus.OK:
            return
        case HTTPStatus.GONE:
            raise FetchFailed(Reason.GONE, "CloudTalk has deleted the recording")
        case HTTPStatus.NOT_FOUND:
            raise FetchFailed(Reason.NOT_FOUND, "CloudTalk does not have the recording")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            raise FetchFailed(Reason.UNAUTHORISED, f"CloudTalk refused access with the status {status}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise FetchFailed(Reason.THROTTLED, "CloudTalk accepts no more requests for now")
        case _:
            raise FetchFailed(Reason.UNAVAILABLE, f"CloudTalk answered with the status {status}")
