"""A server that reports its internal state: python -m tests.watched.

It serves like `transfers serve`. For each line that it reads, it writes its number of tasks and threads as JSON.
"""

import asyncio
import ctypes
import gc
import json
import sys
import threading
from contextlib import AsyncExitStack
from typing import TextIO

import uvloop
from sqlalchemy import text

from app.logs import configure_logs
from app.main import build_server
from app.server.wire.serve import listen, serve
from app.settings import Settings
from app.storage.database import READERS, Database


async def tell(asked: TextIO, database: Database) -> None:
    while await asyncio.to_thread(asked.readline):
        await tidy_up(database)
        print(json.dumps({"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}), flush=True)


async def tidy_up(database: Database) -> None:
    """Free garbage and SQLite's page caches, up to 16 MB for each connection: they would look like leaks."""
    async with AsyncExitStack() as opened:
        every = [await opened.enter_async_context(database.reading()) for _ in range(READERS)]
        every.append(await opened.enter_async_context(database.writing()))
        for connection in every:
            await connection.execute(text("PRAGMA shrink_memory"))
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


async def main(settings: Settings) -> None:
    server = build_server(settings)
    listener = listen("127.0.0.1", settings.port)
    telling = asyncio.create_task(tell(sys.stdin, server.house.database))
    await serve(server.app, listener, server.endpoint.drain, settings.grace_seconds)
    telling.cancel()


if __name__ == "__main__":
    configure_logs("console", "ERROR")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Settings()))
