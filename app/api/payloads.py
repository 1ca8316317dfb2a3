"""What mutations answer with: the present state, and what stood in the way."""

from typing import Self

import strawberry
from strawberry import ID
from structlog.contextvars import bind_contextvars

from app.api.context import Info
from app.api.metering.price import list_of
from app.api.types import Call, Conference, Transfer, linked
from app.domain.refusals import Refusal, RefusalCode
from app.domain.viewer import Permission


@strawberry.type(
    description="Why what was asked can't be. It is data and not an error: the request was understood, and nothing has "
    "changed. An answer names everything that is wrong with the form of the input. What depends on calls and transfers "
    "is checked when the form is right."
)
class UserError:
    code: RefusalCode = strawberry.field(description="For programs: stable.")
    message: str = strawberry.field(description="For people: may change.")
    field: list[str] | None = strawberry.field(
        description='Which part of the input, as a path, with indices as strings: `["input", "transfereeAddresses", '
        '"1", "target"]`. Null when it is none in particular.'
    )
    retryable: bool = strawberry.field(description="Whether the same request may succeed a little later.")
    transfer: Transfer | None = strawberry.field(
        description="The transfer in the way, if there is one and the token may read it."
    )

    @classmethod
    def of(cls, refusal: Refusal, transfer: Transfer | None = None) -> Self:
        return cls(
            code=refusal.code,
            message=refusal.message,
            field=list(refusal.field) or None,
            retryable=refusal.retryable,
            transfer=transfer,
        )


async def user_errors(info: Info, refusal: Refusal) -> list[UserError]:
    return told(info, refusal, await visible_transfer(info, refusal.transfer_id))


def told(info: Info, refusal: Refusal, transfer: Transfer | None = None) -> list[UserError]:
    """What the caller is told. The operator's figures and log name the first of several refusals."""
    info.context.services.observer.refused(info.field_name, refusal.code)
    bind_contextvars(refused=refusal.code.value)
    return [UserError.of(refusal, transfer), *map(UserError.of, refusal.others)]


def may(info: Info, permission: Permission) -> bool:
    return permission in info.context.viewer.permissions


async def visible_transfer(info: Info, id_: str | None) -> Transfer | None:
    if not may(info, Permission.TRANSFERS_READ):
        return None
    return linked(Transfer.of, await info.context.loaders.transfer(id_))


async def visible_call(info: Info, id_: str | None) -> Call | None:
    return linked(Call.of, await info.context.loaders.call(id_)) if may(info, Permission.CALLS_READ) else None


async def visible_conference(info: Info, id_: str | None) -> Conference | None:
    if not may(info, Permission.CALLS_READ):
        return None
    return linked(Conference.of, await info.context.loaders.conference(id_))


@strawberry.type(description="What a mutation of a transfer answers with. Not in the schema itself.")
class TransferPayload:
    transfer: Transfer | None = strawberry.field(
        description="The transfer as it is now, on a refusal, too. Null when there is none, or when the token may not "
        "read it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Why it can't be; empty when it is done or under way.", metadata=list_of(10)
    )


@strawberry.type(description="What `startTransfer` answers with. A refusal starts nothing, so it has no transfer.")
class StartTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `completeTransfer` answers with.")
class CompleteTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `cancelTransfer` answers with.")
class CancelTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `swapTransfer` answers with.")
class SwapTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `mergeTransfer` answers with.")
class MergeTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `updateTransfer` answers with.")
class UpdateTransferPayload(TransferPayload):
    pass


@strawberry.type(description="What `deleteTransfer` answers with.")
class DeleteTransferPayload(TransferPayload):
    deleted_transfer_id: ID | None = strawberry.field(
        default=None, description="The id of the transfer that is deleted now; null on a refusal."
    )


@strawberry.type(description="What `simulateCall` answers with.")
class SimulateCallPayload:
    caller_call: Call | None = strawberry.field(
        default=None, description="The caller's call; null on a refusal, or when the token may not read it."
    )
    agent_call: Call | None = strawberry.field(
        default=None, description="The agent's call; null on a refusal, or when the token may not read it."
    )
    conference: Conference | None = strawberry.field(
        default=None, description="Their bridge; null on a refusal, or when the token may not read it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Why it can't be; empty when it is done.", metadata=list_of(10)
    )


@strawberry.type(description="What the simulation of one call answers with. Not in the schema itself.")
class SimulatePayload:
    call: Call | None = strawberry.field(
        description="The call as it is now, on a refusal, too. Null when there is none, or when the token may not read "
        "it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Why it can't be; empty when it is done.", metadata=list_of(10)
    )


@strawberry.type(description="What `simulateAnswer` answers with.")
class SimulateAnswerPayload(SimulatePayload):
    pass


@strawberry.type(description="What `simulateReject` answers with.")
class SimulateRejectPayload(SimulatePayload):
    pass


@strawberry.type(description="What `simulateHangup` answers with.")
class SimulateHangupPayload(SimulatePayload):
    pass


@strawberry.type(description="What `simulateHold` answers with.")
class SimulateHoldPayload(SimulatePayload):
    pass
