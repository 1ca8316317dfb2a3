"""ariadne-codegen 0.19: a desk on a generated client. Usage: PYTHONPATH=generated python desk.py URL TOKEN CALL."""

import asyncio
import sys
from contextlib import aclosing

from transfers_client import Client
from transfers_client.enums import AddressType, TransferStatus, TransferType
from transfers_client.input_types import AddressInput, CompleteTransferInput, StartTransferInput, TransferFilter


async def main(url: str, token: str, call: str) -> None:
    authorization = {"Authorization": f"Bearer {token}"}
    client = Client(
        url=url,
        headers=authorization,
        ws_url=url.replace("http", "ws", 1),
        ws_connection_init_payload=authorization,
    )
    # Python has a function `filter`, so the generator calls the argument `filter_`.
    live = await client.live_transfers(filter_=TransferFilter(isLive=True))
    started = await client.start_transfer(
        StartTransferInput(
            type=TransferType.ATTENDED,
            transfererCallId=call,
            transfereeAddresses=[AddressInput(type=AddressType.TEL, target="+15558000101")],
        )
    )
    transfer = started.start_transfer.transfer
    async with aclosing(client.transfer_events(after=live.transfers.event_cursor)) as events:
        async for event in events:
            status = event.transfer_events.transfer.status
            print(event.transfer_events.kind.value, status.value, flush=True)
            if status is TransferStatus.CONSULTING:
                await client.complete_transfer(CompleteTransferInput(transferId=transfer.id))
            if status is TransferStatus.COMPLETED:
                return


asyncio.run(main(*sys.argv[1:]))
