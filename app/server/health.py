"""Health checks: whether the process runs, and whether it can serve requests."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def health(is_ready: Callable[[], Awaitable[bool]]) -> list[Route]:
    """Return the routes `/healthz` (the process answers) and `/readyz` (the database and the engine answer too)."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if await is_ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503, headers={"Retry-After": "1"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
