"""The product as a process that tells of its inside: python -m tests.watched.

It serves as `transfers serve` does, and writes a line of JSON, the number of its tasks and threads, for each line read.
"""

import asyncio
import gc
import json
import sys
import threading
from typing import TextIO

import uvloop

from app.logs import configure_logs
from app.main import build_server
from app.server.listener import listen
from app.server.serve import serve
from app.settings import Settings


async def tell(asked: TextIO) -> None:
    while await asyncio.to_thread(asked.readline):
        gc.collect()  # or what is garbage would count as held
        print(json.dumps({"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}), flush=True)


async def main(settings: Settings) -> None:
    server = build_server(settings)
    listener = listen(port=settings.port)
    telling = asyncio.create_task(tell(sys.stdin))
    await serve(server.app, listener, server.endpoint.drain, settings.grace_seconds)
    telling.cancel()


if __name__ == "__main__":
    configure_logs("console", "ERROR")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Settings()))
