"""What every telephony engine does with single calls: it dials, and people answer, reject and hang up."""

from uuid import uuid4

import pytest

from app.domain.addresses import Address
from app.domain.calls import (
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
)
from app.ports import NoSuchCall, NotNow, Rejection
from tests.telephony.house import AGENT, CALLER, CUSTOMER, NONE, PARTY, STRANGER, House, dial_order, has_ended, tel


class DiallingContract:
    @pytest.mark.parametrize("destination", [tel("0100"), tel("0101"), tel("4242"), PARTY])
    async def test_a_dialled_party_rings_and_answers(self, house: House, destination: Address) -> None:
        leg = await house.answered(destination)

        told = house.heard.history(leg)
        assert [call.status for call in told] == [CallStatus.DIALING, CallStatus.RINGING, CallStatus.PROGRESSING]
        assert [call.revision for call in told] == [1, 2, 3]
        assert told[0].tm_ringing is None
        assert told[1].tm_ringing is not None
        assert told[2].tm_progressing is not None

    @pytest.mark.parametrize(
        ("number", "reason", "rings"),
        [
            ("0102", CallHangupReason.BUSY, False),
            ("0104", CallHangupReason.DECLINED, True),
            ("0105", CallHangupReason.FAILED, False),
        ],
    )
    async def test_a_dialled_party_is_not_reached(
        self, house: House, number: str, reason: CallHangupReason, rings: bool
    ) -> None:
        leg = await house.dial(tel(number))

        call = await house.heard.call(leg, has_ended)
        assert (call.hangup_by, call.hangup_reason) == (CallHangupBy.REMOTE, reason)
        assert (call.tm_ringing is not None) is rings
        assert call.tm_progressing is None

    async def test_a_dialled_party_answers_and_hangs_up(self, house: House) -> None:
        leg = await house.dial(tel("0106"))

        call = await house.heard.call(leg, has_ended)
        assert call.tm_progressing is not None
        assert (call.hangup_by, call.hangup_reason) == (CallHangupBy.REMOTE, CallHangupReason.NORMAL)

    @pytest.mark.parametrize("number", ["0103", "0107"])
    async def test_a_dialled_party_rings_until_somebody_acts(self, house: House, number: str) -> None:
        leg = await house.dial(tel(number))
        await house.answered(tel("0100"))
        assert house.heard.calls[leg].status is CallStatus.RINGING

        await house.engine.answer(CUSTOMER, leg)
        assert house.heard.calls[leg].status is CallStatus.PROGRESSING

    async def test_a_party_that_is_rung_back_waits_for_somebody_to_act(self, house: House) -> None:
        leg = await house.dial(AGENT, is_recall=True)
        await house.answered(tel("0100"))

        assert house.heard.calls[leg].status is CallStatus.RINGING

    async def test_a_party_that_is_rung_back_behaves_by_its_number(self, house: House) -> None:
        leg = await house.dial(tel("0102"), is_recall=True)

        assert (await house.heard.call(leg, has_ended)).hangup_reason is CallHangupReason.BUSY

    async def test_a_leg_tells_whom_it_is_to_and_of_which_groupcall(self, house: House) -> None:
        order = dial_order(str(uuid4()), AGENT)
        [call] = await house.engine.carry_out(order, CUSTOMER)

        assert (call.id, call.customer_id, call.groupcall_id) == (order.call_id, CUSTOMER, order.groupcall_id)
        assert (call.source, call.destination, call.direction) == (CALLER, AGENT, CallDirection.OUTGOING)
        assert (call.owner_id, call.confbridge_id) == (AGENT.target, None)

    async def test_dialling_a_leg_again_dials_nobody(self, house: House) -> None:
        order = dial_order(str(uuid4()), tel("0107"))
        first = await house.engine.carry_out(order, CUSTOMER)
        again = await house.engine.carry_out(order, CUSTOMER)

        assert again == first
        assert len(await house.engine.snapshot()) == 1


class OutsideContract:
    @pytest.mark.parametrize(
        ("reason", "cause"),
        [
            (Rejection.BUSY, CallHangupReason.BUSY),
            (Rejection.DECLINED, CallHangupReason.DECLINED),
            (Rejection.NO_ANSWER, CallHangupReason.NOANSWER),
            (Rejection.UNREACHABLE, CallHangupReason.FAILED),
        ],
    )
    async def test_somebody_rejects(self, house: House, reason: Rejection, cause: CallHangupReason) -> None:
        leg = await house.ringing()

        await house.engine.reject(CUSTOMER, leg, reason)

        call = house.heard.calls[leg]
        assert (call.status, call.hangup_by, call.hangup_reason) == (CallStatus.HANGUP, CallHangupBy.REMOTE, cause)

    async def test_somebody_hangs_up(self, house: House) -> None:
        talk = await house.talk()

        await house.engine.hang_up(CUSTOMER, talk.caller_call_id)

        caller, agent = (house.heard.calls[id_] for id_ in (talk.caller_call_id, talk.agent_call_id))
        assert (caller.hangup_by, caller.hangup_reason) == (CallHangupBy.REMOTE, CallHangupReason.NORMAL)
        assert (agent.hangup_by, agent.hangup_reason) == (CallHangupBy.LOCAL, CallHangupReason.NORMAL)
        assert not house.heard.bridges[talk.conference_id].is_up

    async def test_whoever_hangs_up_while_it_rings_declines(self, house: House) -> None:
        leg = await house.ringing()

        await house.engine.hang_up(CUSTOMER, leg)

        assert house.heard.calls[leg].hangup_reason is CallHangupReason.DECLINED

    async def test_a_party_that_hangs_up_soon_does_so_when_somebody_answers_for_it(self, house: House) -> None:
        leg = await house.dial(tel("0106"))
        call = await house.heard.call(leg, has_ended)

        assert call.tm_progressing is not None

    async def test_what_a_call_s_state_does_not_allow_is_refused(self, house: House) -> None:
        leg = await house.ringing()
        with pytest.raises(NotNow, match="RINGING"):
            await house.engine.hold(CUSTOMER, leg, is_on_hold=True, mute_direction=NONE)
        await house.engine.answer(CUSTOMER, leg)
        with pytest.raises(NotNow, match="PROGRESSING"):
            await house.engine.answer(CUSTOMER, leg)
        with pytest.raises(NotNow, match="PROGRESSING"):
            await house.engine.reject(CUSTOMER, leg, Rejection.BUSY)
        await house.engine.hang_up(CUSTOMER, leg)
        with pytest.raises(NotNow, match="HANGUP"):
            await house.engine.hang_up(CUSTOMER, leg)

    async def test_nobody_acts_for_an_unknown_call_or_another_customer_s(self, house: House) -> None:
        leg = await house.ringing()

        for customer, call_id in ((CUSTOMER, str(uuid4())), (STRANGER, leg)):
            with pytest.raises(NoSuchCall):
                await house.engine.answer(customer, call_id)
            with pytest.raises(NoSuchCall):
                await house.engine.reject(customer, call_id, Rejection.BUSY)
            with pytest.raises(NoSuchCall):
                await house.engine.hang_up(customer, call_id)
            with pytest.raises(NoSuchCall):
                await house.engine.hold(customer, call_id, is_on_hold=True, mute_direction=NONE)
