"""The toy server as a process of its own, for tests of signals: python -m tests.server.process PORT GRACE_SECONDS.

It runs on uvloop, as in production. SIGUSR1 opens the gate of the probe.
"""

import asyncio
import signal
import sys

import uvloop
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from app.server.protocol.endpoint import GraphQLEndpoint
from app.server.wire.serve import listen, serve
from tests.server.toy import EXECUTOR, TOKENS, Probe


async def main(port: int, grace_seconds: float) -> None:
    probe = Probe()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, probe.gate.set)
    endpoint = GraphQLEndpoint(EXECUTOR, TOKENS.viewer, probe.context)
    app = Starlette(routes=[Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)])
    listener = listen("127.0.0.1", port)
    print(listener.getsockname()[1], flush=True)
    await serve(app, listener, endpoint.drain, grace_seconds)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), float(sys.argv[2])))
