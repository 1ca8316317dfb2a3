"""The mutations of transfers. A mutation records the intent; the engine's confirmations follow as events."""

from collections.abc import Awaitable
from typing import Annotated, TypeVar

import strawberry
from strawberry import ID

from app.api.context import Info
from app.api.errors import forbidden, require
from app.api.fields import resolved
from app.api.inputs import (
    CancelTransferInput,
    CompleteTransferInput,
    DeleteTransferInput,
    MergeTransferInput,
    StartTransferInput,
    SwapTransferInput,
    UpdateTransferInput,
    edits,
    start_request,
)
from app.api.payloads import (
    CancelTransferPayload,
    CompleteTransferPayload,
    DeleteTransferPayload,
    MergeTransferPayload,
    StartTransferPayload,
    SwapTransferPayload,
    TransferPayload,
    UpdateTransferPayload,
    may,
    user_errors,
    visible_transfer,
)
from app.api.types import Transfer
from app.domain.refusals import Refusal
from app.domain.transfer import SpeakingTo
from app.domain.transfer import Transfer as Record
from app.domain.viewer import Forbidden, Permission

P = TypeVar("P", bound=TransferPayload)


async def _run(info: Info, payload: type[P], command: Awaitable[Record], transfer_id: str | None = None) -> P:
    """Run a command and return its payload. `transfer_id` is the transfer to show if the command is refused."""
    try:
        record = await command
    except Forbidden as error:
        raise forbidden(error) from error
    except Refusal as refusal:
        info.context.renew()
        transfer = await visible_transfer(info, transfer_id)
        return payload(transfer=transfer, user_errors=await user_errors(info, refusal))
    info.context.renew()
    return payload(transfer=Transfer.of(record) if may(info, Permission.TRANSFERS_READ) else None, user_errors=[])


async def _update(info: Info, given: UpdateTransferInput) -> Record:
    context = info.context
    context.viewer.require(Permission.TRANSFERS_WRITE)  # first: input errors are for permitted clients
    return await context.services.transfers.update(context.viewer, given.transfer_id, edits(given))


@strawberry.type
class TransferMutations:
    @resolved(
        "Starts a transfer. It is refused while another transfer of the same call or bridge is live. "
        "Needs `TRANSFERS_WRITE`."
    )
    async def start_transfer(
        self,
        info: Info,
        input: Annotated[StartTransferInput, strawberry.argument(description="The transfer to start.")],
    ) -> StartTransferPayload | None:
        context = info.context
        require(context.viewer, Permission.TRANSFERS_WRITE)  # first: input errors are for permitted clients
        started = context.services.transfers.start(context.viewer, start_request(input))
        return await _run(info, StartTransferPayload, started)

    @resolved(
        "Connects the held parties with the destination and hangs up the transferer. If the destination "
        "still rings, the transferer leaves and the held parties hear it ring. Repeating it on a "
        "completed transfer succeeds. Needs `TRANSFERS_WRITE`."
    )
    async def complete_transfer(
        self,
        info: Info,
        input: Annotated[CompleteTransferInput, strawberry.argument(description="The transfer to complete.")],
    ) -> CompleteTransferPayload | None:
        context, id_ = info.context, input.transfer_id
        done = context.services.transfers.complete(context.viewer, id_)
        return await _run(info, CompleteTransferPayload, done, id_)

    @resolved(
        "Cancels a transfer: hangs up the destination and connects the transferer and the held parties "
        "again. A transferer who has left is rung back. Repeating it on a cancelled transfer succeeds. "
        "Needs `TRANSFERS_WRITE`."
    )
    async def cancel_transfer(
        self,
        info: Info,
        input: Annotated[CancelTransferInput, strawberry.argument(description="The transfer to cancel.")],
    ) -> CancelTransferPayload | None:
        context, id_ = info.context, input.transfer_id
        done = context.services.transfers.cancel(context.viewer, id_)
        return await _run(info, CancelTransferPayload, done, id_)

    @resolved(
        "Chooses whom the transferer speaks with. The other side waits on hold. The calls show it once "
        "the telephone exchange has confirmed it: see `Transfer.speakingTo`. Repeating it succeeds. Needs"
        " `TRANSFERS_WRITE`."
    )
    async def swap_transfer(
        self,
        info: Info,
        input: Annotated[
            SwapTransferInput, strawberry.argument(description="The transfer, and the side to speak with.")
        ],
    ) -> SwapTransferPayload | None:
        context, id_ = info.context, input.transfer_id
        done = context.services.transfers.swap(context.viewer, id_, SpeakingTo[input.speak_to.name])
        return await _run(info, SwapTransferPayload, done, id_)

    @resolved(
        "Merges the transferer, the held parties and the destination into a three-way call. Repeating it "
        "on a merged transfer succeeds. Needs `TRANSFERS_WRITE`."
    )
    async def merge_transfer(
        self,
        info: Info,
        input: Annotated[MergeTransferInput, strawberry.argument(description="The transfer to merge.")],
    ) -> MergeTransferPayload | None:
        context, id_ = info.context, input.transfer_id
        done = context.services.transfers.merge(context.viewer, id_)
        return await _run(info, MergeTransferPayload, done, id_)

    @resolved(
        "Changes the note or the metadata of a live transfer. Needs `TRANSFERS_WRITE`.",
    )
    async def update_transfer(
        self,
        info: Info,
        input: Annotated[UpdateTransferInput, strawberry.argument(description="The transfer, and what to change.")],
    ) -> UpdateTransferPayload | None:
        return await _run(info, UpdateTransferPayload, _update(info, input), input.transfer_id)

    @resolved(
        "Deletes a transfer that has ended: it is no longer listed, but still found by its id and by "
        "links. Repeating it on a deleted transfer succeeds. Needs `TRANSFERS_WRITE`."
    )
    async def delete_transfer(
        self,
        info: Info,
        input: Annotated[DeleteTransferInput, strawberry.argument(description="The transfer to delete.")],
    ) -> DeleteTransferPayload | None:
        context, id_ = info.context, input.transfer_id
        done = context.services.transfers.delete(context.viewer, id_)
        payload = await _run(info, DeleteTransferPayload, done, id_)
        payload.deleted_transfer_id = None if payload.user_errors else ID(id_)
        return payload
