"""What every telephony engine does for us. An engine's own tests inherit it, with an `engine` of their own."""

from collections.abc import AsyncIterator

import pytest

from tests.telephony.contract_bridges import ConnectingContract, HangingUpContract, HoldingContract, SnapshotContract
from tests.telephony.contract_calls import DiallingContract, OutsideContract
from tests.telephony.house import Engine, House
from tests.telephony.listening import listening


class TelephonyContract(
    DiallingContract, OutsideContract, ConnectingContract, HangingUpContract, HoldingContract, SnapshotContract
):
    @pytest.fixture
    async def house(self, engine: Engine) -> AsyncIterator[House]:
        async with listening(engine) as heard:
            yield House(engine, heard)
