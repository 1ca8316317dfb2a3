"""A client as the documentation tells it to be: it comes again when the server says so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from websockets.exceptions import ConnectionClosed

from tests.serving import Client, Failed, Json
from tests.stories.desk import Desk, Talk

AGAIN = "SERVICE_UNAVAILABLE"
SECONDS = 20
"""How long it goes on trying."""


@dataclass
class PatientClient(Client):
    put_off: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, query: str, /, **variables: Any) -> Json:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await super().ask(query, **variables)
                except Failed as failed:
                    if failed.code != AGAIN:
                        raise
                self.put_off.set()
                await asyncio.sleep(0.02)

    async def post(self, http: httpx.AsyncClient, query: str, variables: Json) -> httpx.Response:
        answer = await super().post(http, query, variables)
        assert answer.status_code in (200, 503), answer.text
        assert ("retry-after" in answer.headers) is (answer.status_code == 503)
        return answer


@dataclass
class PatientDesk(Desk):
    client: PatientClient

    async def until(self, transfer: Json, *statuses: str, when: Callable[[Json], bool] = bool) -> Json:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await super().until(transfer, *statuses, when=when)
                except ConnectionClosed as cut:
                    if cut.rcvd is None or cut.rcvd.code != 1013:
                        raise
                await asyncio.sleep(0.02)

    async def start(self, talk: Talk, *to: str, **more: Any) -> Json:
        return await super().start(talk, *to, **{"idempotencyKey": str(uuid4())} | more)
