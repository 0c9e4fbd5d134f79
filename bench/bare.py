"""The bare endpoint that the relay is compared with: Starlette, read the body, answer 200, store nothing.

It runs on the server and with the options that the relay uses (uvicorn, uvloop, httptools, no access log).
`python -m bench.bare` prints its URL.
"""

import socket
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from relay.server.server import new_event_loop

ACCEPTED: Final = {"success": True, "message": "Webhook procesado correctamente", "id": "cloudtalk-abc123"}


async def webhook(request: Request) -> JSONResponse:
    """Read the body and acknowledge it."""
    await request.body()
    return JSONResponse(ACCEPTED)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = Starlette(routes=[Route("/{path:path}", webhook, methods=["POST"])])
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    loop = new_event_loop()
    loop.run_until_complete(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
