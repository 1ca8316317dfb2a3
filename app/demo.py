"""The demo customer: live calls to transfer, and a token to do it with."""

from uuid import NAMESPACE_URL, uuid5

from app.calls import Calls
from app.domain.addresses import Address, AddressType
from app.domain.calls import Call
from app.domain.viewer import Permission
from app.ports import Simulation
from app.server.auth import Tokens

CUSTOMER = str(uuid5(NAMESPACE_URL, "transfers demo customer"))
AGENTS = ("Alice", "Bob")
TOKEN_SECONDS = 7 * 24 * 3600


class Demo:
    """Two callers, each talking to an agent: there is always something to transfer."""

    def __init__(self, simulation: Simulation, calls: Calls, tokens: Tokens) -> None:
        self._simulation = simulation
        self._calls = calls
        self._tokens = tokens

    async def prepare(self) -> None:
        """Agents who are on a call since an earlier run stay on it."""
        talking = {call.owner_id for call in await self._agents_calls()}
        for number, agent in enumerate(AGENTS):
            caller = Address(AddressType.TEL, f"+1555010020{number}", name=f"Caller {number + 1}")
            desk = Address(AddressType.AGENT, _agent_id(agent), name=agent)
            if desk.target not in talking:
                await self._simulation.call(CUSTOMER, caller, desk)

    async def _agents_calls(self) -> list[Call]:
        calls, _ = await self._calls.live()
        agents = {_agent_id(agent) for agent in AGENTS}
        return [call for call in calls if call.customer_id == CUSTOMER and call.owner_id in agents]

    def token(self, ttl: float = TOKEN_SECONDS) -> str:
        return self._tokens.issue(CUSTOMER, "demo", Permission, ttl)

    async def session(self) -> dict[str, object]:
        """What GraphiQL is signed in with."""
        session: dict[str, object] = {"headers": {"Authorization": f"Bearer {self.token()}"}}
        calls = await self._agents_calls()
        return session | ({"callId": calls[0].id} if calls else {})


def _agent_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"transfers demo agent {name}"))
