"""The mutations of the simulated outside world. They return once their effect can be read."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import strawberry

from app.api.context import Info
from app.api.errors import require
from app.api.fields import resolved
from app.api.inputs import (
    SimulateAnswerInput,
    SimulateCallInput,
    SimulateHangupInput,
    SimulateHoldInput,
    SimulateRejectInput,
    address,
    known,
)
from app.api.payloads import (
    SimulateAnswerPayload,
    SimulateCallPayload,
    SimulateHangupPayload,
    SimulateHoldPayload,
    SimulatePayload,
    SimulateRejectPayload,
    UserError,
    user_errors,
    visible_call,
    visible_conference,
)
from app.domain.addresses import Address, normalise, wrong_with
from app.domain.refusals import Refusal, RefusalCode, refuse
from app.domain.viewer import Permission
from app.ports import NoSuchCall, NotNow, SimulatedCall, Simulation

MOST_PARTIES = 20

P = TypeVar("P", bound=SimulatePayload)


def _simulation(info: Info) -> Simulation:
    """Return the simulation. Raise Refusal on a real telephone exchange."""
    if info.context.services.simulation is None:
        raise Refusal(RefusalCode.NOT_SIMULATED, "This server runs on a real telephone exchange.")
    return info.context.services.simulation


async def _act(info: Info, payload: type[P], call_id: str, act: Callable[[Simulation, str], Awaitable[None]]) -> P:
    require(info.context.viewer, Permission.SIMULATE)
    errors = list[UserError]()
    try:
        await act(_simulation(info), info.context.viewer.customer_id)
    except Refusal as refusal:
        errors = await user_errors(info, refusal)
    except NoSuchCall:
        errors = await user_errors(info, _refusal(RefusalCode.NOT_FOUND, "No such call."))
    except NotNow as error:
        errors = await user_errors(info, _refusal(RefusalCode.INVALID_INPUT, str(error)))
    info.context.renew()
    return payload(call=await visible_call(info, call_id), user_errors=errors)


def _refusal(code: RefusalCode, message: str) -> Refusal:
    return Refusal(code, message, "input", "callId")


async def _call(info: Info, given: SimulateCallInput) -> SimulatedCall:
    if len(given.parties) > MOST_PARTIES:
        raise Refusal(RefusalCode.INVALID_INPUT, f"At most {MOST_PARTIES} further parties.", "input", "parties")
    simulation = _simulation(info)
    caller, agent, *parties = _normalised(given)
    return await simulation.call(info.context.viewer.customer_id, caller, agent, parties)


def _normalised(given: SimulateCallInput) -> list[Address]:
    """Return the caller, the agent and the others in normal form. Raise Refusal with all that is wrong with them."""
    others = ((("parties", str(n)), address(party)) for n, party in enumerate(given.parties))
    placed = ((("caller",), address(given.caller)), (("agent",), address(given.agent)), *others)
    refuse(wrong for place, one in placed for wrong in wrong_with(one, "input", *place))
    return [normalise(one) for _, one in placed]


@strawberry.type
class SimulationMutations:
    @resolved(
        "Simulates a call that an agent has answered, so that the caller and the agent talk. Refused with "
        "`NOT_SIMULATED` on a real telephone exchange. Needs `SIMULATE`."
    )
    async def simulate_call(
        self,
        info: Info,
        input: Annotated[SimulateCallInput, strawberry.argument(description="The parties of the call.")],
    ) -> SimulateCallPayload | None:
        require(info.context.viewer, Permission.SIMULATE)
        try:
            made = await _call(info, input)
        except Refusal as refusal:
            return SimulateCallPayload(user_errors=await user_errors(info, refusal))
        info.context.renew()
        return SimulateCallPayload(
            caller_call=await visible_call(info, made.caller_call_id),
            agent_call=await visible_call(info, made.agent_call_id),
            conference=await visible_conference(info, made.conference_id),
            user_errors=[],
        )

    @resolved(
        "Answers a ringing telephone. Refused with `NOT_SIMULATED` on a real telephone exchange. Needs `SIMULATE`."
    )
    async def simulate_answer(
        self,
        info: Info,
        input: Annotated[SimulateAnswerInput, strawberry.argument(description="The ringing telephone to answer.")],
    ) -> SimulateAnswerPayload | None:
        async def act(simulation: Simulation, customer_id: str) -> None:
            await simulation.answer(customer_id, input.call_id)

        return await _act(info, SimulateAnswerPayload, input.call_id, act)

    @resolved(
        "Rejects the call on a ringing telephone. Refused with `NOT_SIMULATED` on a real telephone "
        "exchange. Needs `SIMULATE`."
    )
    async def simulate_reject(
        self,
        info: Info,
        input: Annotated[SimulateRejectInput, strawberry.argument(description="The call, and how to reject it.")],
    ) -> SimulateRejectPayload | None:
        async def act(simulation: Simulation, customer_id: str) -> None:
            await simulation.reject(customer_id, input.call_id, input.reason)

        return await _act(info, SimulateRejectPayload, input.call_id, act)

    @resolved("Hangs up a telephone. Refused with `NOT_SIMULATED` on a real telephone exchange. Needs `SIMULATE`.")
    async def simulate_hangup(
        self,
        info: Info,
        input: Annotated[SimulateHangupInput, strawberry.argument(description="The telephone to hang up.")],
    ) -> SimulateHangupPayload | None:
        async def act(simulation: Simulation, customer_id: str) -> None:
            await simulation.hang_up(customer_id, input.call_id)

        return await _act(info, SimulateHangupPayload, input.call_id, act)

    @resolved(
        "Sets the hold and mute of a telephone, as its user does. A transfer restores them at its end. "
        "Refused with `NOT_SIMULATED` on a real telephone exchange. Needs `SIMULATE`."
    )
    async def simulate_hold(
        self,
        info: Info,
        input: Annotated[SimulateHoldInput, strawberry.argument(description="The call, and its hold and mute.")],
    ) -> SimulateHoldPayload | None:
        require(info.context.viewer, Permission.SIMULATE)  # first: input errors are for permitted clients
        muted = known(input.mute_direction)

        async def act(simulation: Simulation, customer_id: str) -> None:
            await simulation.hold(customer_id, input.call_id, is_on_hold=input.is_on_hold, mute_direction=muted)

        return await _act(info, SimulateHoldPayload, input.call_id, act)
