"""The demo customer, with calls to transfer and a token."""

import logging
from collections.abc import Iterator, Sequence
from itertools import count
from uuid import NAMESPACE_URL, uuid5

from app.calls import Calls
from app.domain.addresses import Address, AddressType
from app.domain.calls import Call
from app.domain.viewer import Permission
from app.ports import Broker, Simulation, wake_up_within
from app.server.auth import Tokens
from app.storage.database import DatabaseUnavailable

log = logging.getLogger(__name__)

CUSTOMER = str(uuid5(NAMESPACE_URL, "transfers demo customer"))
TOKEN_SECONDS = 7 * 24 * 3600
LOOK_SECONDS = 30.0
"""Most seconds between two checks of the calls. A change of a call or a transfer starts a check at once."""


def _agent(name: str) -> Address:
    return Address(AddressType.AGENT, str(uuid5(NAMESPACE_URL, f"transfers demo agent {name}")), name=name)


AGENTS = tuple(map(_agent, ("Alice", "Bob")))


class Demo:
    """Keeps a call between a caller and an agent that can be transferred."""

    def __init__(self, simulation: Simulation, calls: Calls, broker: Broker, tokens: Tokens) -> None:
        self._simulation = simulation
        self._calls = calls
        self._broker = broker
        self._tokens = tokens

    async def run(self) -> None:
        """Place new calls whenever no call can be transferred. Runs until it is cancelled."""
        async with self._broker.listen(f"calls:{CUSTOMER}", f"transfers:{CUSTOMER}") as wake_up:
            while True:
                try:
                    await self.prepare()
                except DatabaseUnavailable as error:
                    log.warning("The demo can't place calls now: %s", error)
                await wake_up_within(wake_up, LOOK_SECONDS)

    async def prepare(self) -> None:
        """Place new calls, unless an agent has a call that can be transferred."""
        if not await self._calls.transferable(CUSTOMER, [agent.target for agent in AGENTS]):
            await self._place_calls()

    async def _place_calls(self) -> None:
        """Place a call to each agent without a call. When both agents have calls, place another one to both."""
        live = [call for call in (await self._calls.live())[0] if call.customer_id == CUSTOMER]
        busy = {call.owner_id for call in live}
        agents = [agent for agent in AGENTS if agent.target not in busy] or AGENTS
        for agent, caller in zip(agents, _new_callers(live), strict=False):
            log.info("No call can be transferred, so the demo places one: %s talks with %s", caller.name, agent.name)
            await self._simulation.call(CUSTOMER, caller, agent)

    def token(self, ttl: float = TOKEN_SECONDS) -> str:
        return self._tokens.issue(CUSTOMER, "demo", Permission, ttl)

    async def session(self) -> dict[str, object]:
        """Return the headers that sign GraphiQL in."""
        return {"headers": {"Authorization": f"Bearer {self.token()}"}}


def _new_callers(live: Sequence[Call]) -> Iterator[Address]:
    """Yield callers who are on no call yet."""
    calling = {call.source.target for call in live}
    for number in count(1):
        caller = Address(AddressType.TEL, f"+1555010{number + 199:04}", name=f"Caller {number}")
        if caller.target not in calling:
            yield caller
