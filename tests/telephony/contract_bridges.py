"""What every telephony engine does with calls that are connected: bridges and their rule, hang-ups, hold and mute."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from app.domain.calls import (
    Call,
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    Conference,
    ConferenceStatus,
    ConferenceType,
    MuteDirection,
)
from app.domain.orders import Order, OrderKind
from app.ports import OrderRefused
from tests.telephony.house import AGENT, BOTH, CALLER, CUSTOMER, IN, NONE, OUT, PARTY, STRANGER, House, private, tel


class ConnectingContract:
    async def test_a_simulated_call_is_a_caller_and_an_agent_talking(self, house: House) -> None:
        talk = await house.talk()

        caller, agent = (house.heard.calls[id_] for id_ in (talk.caller_call_id, talk.agent_call_id))
        assert (caller.direction, agent.direction) == (CallDirection.INCOMING, CallDirection.OUTGOING)
        assert {caller.status, agent.status} == {CallStatus.PROGRESSING}
        assert {caller.confbridge_id, agent.confbridge_id} == {talk.conference_id}
        assert (caller.party, agent.party) == (CALLER, AGENT)
        assert (caller.owner_id, agent.owner_id) == (None, AGENT.target)
        assert house.heard.bridges[talk.conference_id].type is ConferenceType.CONNECT

    async def test_with_more_parties_a_simulated_call_is_a_conference(self, house: House) -> None:
        talk = await house.talk(PARTY, tel("4242"))

        assert house.heard.bridges[talk.conference_id].type is ConferenceType.CONFERENCE
        assert {call.confbridge_id for call in house.heard.calls.values()} == {talk.conference_id}
        assert len(house.heard.calls) == 4

    async def test_an_answered_party_joins(self, house: House) -> None:
        talk = await house.talk()
        leg = await house.answered(tel("0101"))

        [joined] = await house.order(OrderKind.JOIN, leg, talk.conference_id)
        again = await house.order(OrderKind.JOIN, leg, talk.conference_id)

        assert joined.confbridge_id == talk.conference_id
        assert again == [joined]

    async def test_a_party_that_only_rings_can_t_join(self, house: House) -> None:
        talk = await house.talk()
        leg = await house.ringing()

        with pytest.raises(OrderRefused):
            await house.order(OrderKind.JOIN, leg, talk.conference_id)
        assert house.heard.calls[leg].confbridge_id is None

    async def test_whoever_joins_another_bridge_leaves_the_one_before(self, house: House) -> None:
        first, second = await house.talk(), await house.talk()

        touched = await house.order(OrderKind.JOIN, first.agent_call_id, second.conference_id)

        assert {call.id: call.status for call in touched} == {
            first.agent_call_id: CallStatus.PROGRESSING,
            first.caller_call_id: CallStatus.HANGUP,
        }
        assert (await house.until_ended(first.conference_id)).tm_end is not None


class HangingUpContract:
    async def test_hanging_up_a_party_that_rings_cancels_it(self, house: House) -> None:
        leg = await house.ringing()

        [call] = await house.order(OrderKind.HANG_UP, leg)

        assert (call.status, call.hangup_by) == (CallStatus.HANGUP, CallHangupBy.LOCAL)
        assert call.hangup_reason is CallHangupReason.CANCEL

    async def test_hanging_up_twice_is_hanging_up_once(self, house: House) -> None:
        leg = await house.answered(tel("0101"))
        first = await house.order(OrderKind.HANG_UP, leg)

        assert await house.order(OrderKind.HANG_UP, leg) == first
        assert first[0].hangup_reason is CallHangupReason.NORMAL

    async def test_a_connection_ends_when_one_party_is_left(self, house: House) -> None:
        talk = await house.talk()

        touched = await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        assert {call.id for call in touched} == {talk.agent_call_id, talk.caller_call_id}
        assert {(call.hangup_by, call.hangup_reason) for call in touched} == {
            (CallHangupBy.LOCAL, CallHangupReason.NORMAL)
        }
        bridge = await house.until_ended(talk.conference_id)
        assert bridge.status is ConferenceStatus.TERMINATED
        assert bridge.tm_end is not None

    async def test_an_order_given_again_tells_of_what_it_did(self, house: House) -> None:
        talk = await house.talk()
        first = await house.order(OrderKind.HANG_UP, talk.agent_call_id)
        again = await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        assert again == first

    async def test_a_connection_that_is_kept_alive_goes_on(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.KEEP_ALIVE, bridge=talk.conference_id)
        await house.order(OrderKind.KEEP_ALIVE, bridge=talk.conference_id)

        [call] = await house.order(OrderKind.HANG_UP, talk.agent_call_id)
        leg = await house.answered(tel("0101"))
        await house.order(OrderKind.JOIN, leg, talk.conference_id)
        await house.order(OrderKind.CLEAR_KEEP_ALIVE, bridge=talk.conference_id)

        assert call.id == talk.agent_call_id
        assert house.heard.bridges[talk.conference_id].is_up
        assert house.heard.calls[talk.caller_call_id].is_up

    async def test_the_rule_of_a_bridge_applies_when_it_is_kept_alive_no_more(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.KEEP_ALIVE, bridge=talk.conference_id)
        await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        touched = await house.order(OrderKind.CLEAR_KEEP_ALIVE, bridge=talk.conference_id)
        again = await house.order(OrderKind.CLEAR_KEEP_ALIVE, bridge=talk.conference_id)

        assert {call.id: call.status for call in touched}[talk.caller_call_id] is CallStatus.HANGUP
        assert again == touched
        await house.until_ended(talk.conference_id)

    async def test_an_empty_bridge_ends_when_it_is_kept_alive_no_more(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.KEEP_ALIVE, bridge=talk.conference_id)
        for call_id in (talk.agent_call_id, talk.caller_call_id):
            await house.engine.hang_up(CUSTOMER, call_id)
        assert house.heard.bridges[talk.conference_id].is_up

        await house.order(OrderKind.CLEAR_KEEP_ALIVE, bridge=talk.conference_id)

        await house.until_ended(talk.conference_id)

    async def test_a_conference_goes_on_with_one_party_and_ends_with_none(self, house: House) -> None:
        talk = await house.talk(PARTY)
        *most, last = house.heard.calls
        for call_id in most:
            await house.order(OrderKind.HANG_UP, call_id)
        assert house.heard.bridges[talk.conference_id].is_up
        assert house.heard.calls[last].is_up

        await house.order(OrderKind.HANG_UP, last)
        await house.until_ended(talk.conference_id)

    async def test_a_party_that_is_alone_when_it_is_released_is_hung_up(self, house: House) -> None:
        talk = await house.talk(PARTY)
        others = [id_ for id_ in house.heard.calls if id_ != talk.caller_call_id]
        for call_id in others:
            await house.order(OrderKind.HANG_UP, call_id)

        touched = await house.order(OrderKind.RELEASE, bridge=talk.conference_id)

        assert {call.id: call.status for call in touched}[talk.caller_call_id] is CallStatus.HANGUP
        await house.until_ended(talk.conference_id)

    async def test_parties_that_are_together_when_they_are_released_stay(self, house: House) -> None:
        talk = await house.talk(PARTY)
        await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        await house.order(OrderKind.RELEASE, bridge=talk.conference_id)

        assert house.heard.bridges[talk.conference_id].is_up
        assert house.heard.calls[talk.caller_call_id].is_up

    async def test_a_released_bridge_is_kept_alive_no_more(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.KEEP_ALIVE, bridge=talk.conference_id)
        await house.order(OrderKind.RELEASE, bridge=talk.conference_id)

        await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        await house.until_ended(talk.conference_id)

    @pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind is not OrderKind.DIAL])
    async def test_an_order_about_somebody_unknown_is_done(self, house: House, kind: OrderKind) -> None:
        assert await house.order(kind, str(uuid4()), str(uuid4())) == []

    @pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind is not OrderKind.DIAL])
    async def test_an_order_about_somebody_who_is_gone_is_done(self, house: House, kind: OrderKind) -> None:
        talk = await house.talk()
        await house.engine.hang_up(CUSTOMER, talk.caller_call_id)
        told = len(house.heard.reports)

        touched = await house.order(kind, talk.agent_call_id, talk.conference_id)

        assert {call.status for call in touched} == {CallStatus.HANGUP}
        assert len(house.heard.reports) == told

    async def test_joining_a_bridge_that_is_gone_is_done(self, house: House) -> None:
        talk = await house.talk()
        await house.engine.hang_up(CUSTOMER, talk.caller_call_id)
        leg = await house.answered(tel("0101"))

        touched = await house.order(OrderKind.JOIN, leg, talk.conference_id)

        assert {call.id: call.confbridge_id for call in touched}[leg] is None
        assert house.heard.calls[leg].is_up

    @pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind is not OrderKind.DIAL])
    async def test_another_customer_s_calls_are_unknown(self, house: House, kind: OrderKind) -> None:
        talk = await house.talk()
        before = await house.engine.snapshot()

        order = Order(kind, talk.agent_call_id, talk.conference_id)

        assert await house.engine.carry_out(order, STRANGER) == []
        assert await house.engine.snapshot() == before


class HoldingContract:
    @pytest.mark.parametrize(
        ("own", "kind", "effective"),
        [
            ((False, NONE), OrderKind.HOLD, (True, IN)),
            ((True, NONE), OrderKind.HOLD, (True, IN)),
            ((False, IN), OrderKind.HOLD, (True, IN)),
            ((False, OUT), OrderKind.HOLD, (True, BOTH)),
            ((True, BOTH), OrderKind.HOLD, (True, BOTH)),
            ((True, OUT), OrderKind.RINGBACK, (False, OUT)),
            ((False, NONE), OrderKind.RINGBACK, (False, NONE)),
            ((True, BOTH), OrderKind.OPEN, (False, NONE)),
            ((True, OUT), OrderKind.RESTORE, (True, OUT)),
        ],
    )
    async def test_an_order_lies_over_a_user_s_own_hold_and_mute(
        self,
        house: House,
        own: tuple[bool, MuteDirection],
        kind: OrderKind,
        effective: tuple[bool, MuteDirection],
    ) -> None:
        talk = await house.talk()
        await house.engine.hold(CUSTOMER, talk.caller_call_id, is_on_hold=own[0], mute_direction=own[1])

        [ordered] = await house.order(kind, talk.caller_call_id)
        [again] = await house.order(kind, talk.caller_call_id)
        [restored] = await house.engine.carry_out(
            Order(OrderKind.RESTORE, talk.caller_call_id, is_on_hold=own[0], mute_direction=own[1]), CUSTOMER
        )

        assert private(ordered) == effective
        assert again == ordered
        assert private(restored) == own
        assert ordered.confbridge_id == restored.confbridge_id == talk.conference_id

    async def test_ringback_takes_the_music_off(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.HOLD, talk.caller_call_id)

        [call] = await house.order(OrderKind.RINGBACK, talk.caller_call_id)

        assert private(call) == (False, NONE)

    async def test_a_user_holds_while_he_is_held(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.HOLD, talk.caller_call_id)
        await house.engine.hold(CUSTOMER, talk.caller_call_id, is_on_hold=True, mute_direction=OUT)
        assert private(house.heard.calls[talk.caller_call_id]) == (True, BOTH)

    async def test_an_ended_call_is_held_by_nobody(self, house: House) -> None:
        talk = await house.talk()
        await house.order(OrderKind.HOLD, talk.caller_call_id)

        await house.engine.hang_up(CUSTOMER, talk.caller_call_id)

        assert private(house.heard.calls[talk.caller_call_id]) == (False, NONE)


class SnapshotContract:
    async def test_a_snapshot_tells_what_is_up_and_what_was_asked_for(self, house: House) -> None:
        up, gone, forgotten = await house.talk(), await house.talk(), await house.talk()
        for talk in (gone, forgotten):
            await house.order(OrderKind.HANG_UP, talk.agent_call_id)
        await house.until_ended(forgotten.conference_id)

        told = await house.engine.snapshot([gone.caller_call_id], [gone.conference_id, str(uuid4())])

        calls = {report.id: report for report in told if isinstance(report, Call)}
        bridges = {report.id: report for report in told if isinstance(report, Conference)}
        assert calls.keys() == {up.caller_call_id, up.agent_call_id, gone.caller_call_id}
        assert bridges.keys() == {up.conference_id, gone.conference_id}
        assert calls == {id_: house.heard.calls[id_] for id_ in calls}
        assert bridges == {id_: house.heard.bridges[id_] for id_ in bridges}

    async def test_what_is_looked_up_is_told_of_and_nothing_else(self, house: House) -> None:
        talk, other = await house.talk(), await house.talk()
        await house.order(OrderKind.HANG_UP, talk.agent_call_id)

        told = await house.engine.look_up([talk.agent_call_id, str(uuid4())], [other.conference_id])

        assert told == [house.heard.bridges[other.conference_id], house.heard.calls[talk.agent_call_id]]

    async def test_a_confirmation_agrees_with_the_report(self, house: House) -> None:
        talk = await house.talk()
        [confirmed] = await house.order(OrderKind.HOLD, talk.caller_call_id)

        assert await house.heard.call(talk.caller_call_id, _is(confirmed)) == confirmed


def _is(expected: Call) -> Callable[[Call], bool]:
    return lambda call: call.revision >= expected.revision
