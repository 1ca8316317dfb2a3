"""An agent's desk: commands and views through the public API."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.serving import Client, Json

SEEN = """
    id type status outcome outcomeReason disposition endedBy speakingTo isLive version allowedCommands recallAttempts
    transfererCallId transfereeCallId heldCallIds confbridgeId groupcallId previousTransfer { id }
    attempts { outcome callId hangupReason address { target } } tmDeadline tmEnd note
"""
PARTY = "id status isOnHold muteDirection confbridgeId hangupBy hangupReason transferRole transfer { id }"
STARTED = f"""
    mutation ($input: StartTransferInput!) {{
        startTransfer(input: $input) {{ transfer {{ {SEEN} }} userErrors {{ code message field transfer {{ id }} }} }}
    }}
"""
COMMANDED = """
    mutation ($input: %sTransferInput!) {
        %sTransfer(input: $input) { transfer { %s } userErrors { code message field retryable } }
    }
"""
SIMULATED = """
    mutation ($input: Simulate%sInput!) {
        simulate%s(input: $input) { call { %s } userErrors { code message field } }
    }
"""
CALLED = """
    mutation ($input: SimulateCallInput!) {
        simulateCall(input: $input) {
            callerCall { id } agentCall { id } conference { id type } userErrors { code message field }
        }
    }
"""


class Refused(Exception):
    def __init__(self, errors: list[Json], transfer: Json | None) -> None:
        super().__init__(errors)
        self.code = errors[0]["code"]
        self.error = errors[0]
        self.transfer = transfer


@dataclass(frozen=True)
class Talk:
    """A call between a caller and an agent."""

    caller: str
    agent: str
    bridge: str


@dataclass
class Desk:
    client: Client

    async def talk(self, caller: str = "+15557000001", *parties: str) -> Talk:
        answer = await self.client.ask(
            CALLED,
            input={"caller": tel(caller), "agent": tel("+15557000002"), "parties": [tel(party) for party in parties]},
        )
        made = checked(answer["simulateCall"])
        return Talk(made["callerCall"]["id"], made["agentCall"]["id"], made["conference"]["id"])

    async def start(self, talk: Talk, *to: str, **more: Any) -> Json:
        """Start a transfer, attended by default. `to` are the last digits of the destinations' numbers."""
        addresses = [tel(f"+1555800{n}{digits}") for n, digits in enumerate(to)]
        given = {"type": "ATTENDED", "transfererCallId": talk.agent, "transfereeAddresses": addresses} | more
        return dict(checked((await self.client.ask(STARTED, input=given))["startTransfer"])["transfer"])

    async def tell(self, transfer: Json, verb: str, **more: Any) -> Json:
        """Send a command: complete, cancel, merge, swap, update or delete. Return the transfer in the response."""
        query = COMMANDED % (verb.title(), verb, SEEN)
        answer = await self.client.ask(query, input={"transferId": transfer["id"], **more})
        return dict(checked(answer[f"{verb}Transfer"])["transfer"])

    async def simulate(self, what: str, call_id: str, **more: Any) -> Json:
        """Act at the phone of this call: Answer, Reject, Hangup or Hold."""
        answer = await self.client.ask(SIMULATED % (what, what, PARTY), input={"callId": call_id, **more})
        return dict(checked(answer[f"simulate{what}"])["call"])

    async def see(self, transfer: Json) -> Json:
        answer = await self.client.ask(f"query ($id: ID!) {{ transfer(id: $id) {{ {SEEN} }} }}", id=transfer["id"])
        return dict(answer["transfer"])

    async def party(self, call_id: str | None) -> Json:
        answer = await self.client.ask(f"query ($id: ID!) {{ call(id: $id) {{ {PARTY} }} }}", id=call_id)
        return dict(answer["call"])

    async def until(self, transfer: Json, *statuses: str, when: Callable[[Json], bool] = bool) -> Json:
        """Wait for one of these statuses, and for `when` to hold. Return the transfer."""
        query = f"subscription ($id: ID!) {{ transferChanged(id: $id) {{ transfer {{ {SEEN} }} }} }}"
        last: Json = {}
        async with asyncio.timeout(20), self.client.follow(query, id=transfer["id"]) as events:
            async for event in events:
                last = event["transferChanged"]["transfer"]
                if last["status"] in statuses and when(last):
                    return last
        raise AssertionError(f"ended {last['status']} ({last['outcomeReason']}), not {statuses}")

    async def until_ended(self, transfer: Json) -> Json:
        return await self.until(transfer, "COMPLETED", "CANCELLED", "FAILED", "ABANDONED")

    async def until_rings(self, transfer: Json, number: int = 0) -> Json:
        """Wait until the attempt with this index rings. Return the transfer."""
        return await self.until(
            transfer,
            "STARTING",
            "RINGING",
            "TRANSFERRING",
            when=lambda seen: bool(seen["attempts"][number]["outcome"] == "RINGING"),
        )

    async def story(self, transfer: Json) -> list[tuple[str, str]]:
        """Return the kind and status of each event."""
        query = "query ($id: ID!) { transfer(id: $id) { events(first: 100) { nodes { kind status version } } } }"
        nodes = (await self.client.ask(query, id=transfer["id"]))["transfer"]["events"]["nodes"]
        assert [node["version"] for node in nodes] == list(range(1, len(nodes) + 1))
        return [(node["kind"], node["status"]) for node in nodes]


def tel(number: str) -> Json:
    return {"type": "TEL", "target": number}


def checked(payload: Json) -> Json:
    if payload["userErrors"]:
        raise Refused(payload["userErrors"], payload.get("transfer"))
    return payload


def leg(transfer: Json, number: int = 0) -> str:
    return str(transfer["attempts"][number]["callId"])


def ending(transfer: Json) -> tuple[Any, ...]:
    return tuple(transfer[name] for name in ("status", "outcomeReason", "disposition", "endedBy"))


def audio(party: Json) -> tuple[bool, str]:
    return party["isOnHold"], party["muteDirection"]


OPEN = (False, "NONE")
HELD = (True, "IN")
