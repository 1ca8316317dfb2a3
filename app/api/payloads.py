"""The payloads of mutations: the present state, and the reasons of a refusal."""

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
    description="A reason why a mutation was refused. The request was understood and nothing has changed. A "
    "payload lists everything that is wrong with the form of the input. Calls and transfers are "
    "checked once the form is right."
)
class UserError:
    code: RefusalCode = strawberry.field(description="The code, for programs. Codes don't change.")
    message: str = strawberry.field(description="The reason in words, for people. The words may change.")
    field: list[str] | None = strawberry.field(
        description='The path to the part of the input that is wrong, with indices as strings: `["input", '
        '"transfereeAddresses", "1", "target"]`. Null if no part in particular is wrong.'
    )
    retryable: bool = strawberry.field(description="Whether the same request may succeed a little later.")
    transfer: Transfer | None = strawberry.field(
        description="The transfer that is in the way. Null if there is none, or if the token may not read it."
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
    """Return the user errors of a refusal. Metrics and the log name the first of several."""
    transfer = await visible_transfer(info, refusal.transfer_id)
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


@strawberry.type(description="The fields that all payloads of transfer mutations share. Not in the schema itself.")
class TransferPayload:
    transfer: Transfer | None = strawberry.field(
        description="The transfer as it is now, also if the mutation was refused. Null if it does not exist, or if "
        "the token may not read it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="The reasons for a refusal. Empty if the mutation was accepted.", metadata=list_of(10)
    )


@strawberry.type(
    description="The payload of `startTransfer`. If it is refused, nothing was started and `transfer` is null."
)
class StartTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `completeTransfer`.")
class CompleteTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `cancelTransfer`.")
class CancelTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `swapTransfer`.")
class SwapTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `mergeTransfer`.")
class MergeTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `updateTransfer`.")
class UpdateTransferPayload(TransferPayload):
    pass


@strawberry.type(description="The payload of `deleteTransfer`.")
class DeleteTransferPayload(TransferPayload):
    deleted_transfer_id: ID | None = strawberry.field(
        default=None, description="The id of the deleted transfer. Null if the mutation was refused."
    )


@strawberry.type(description="The payload of `simulateCall`.")
class SimulateCallPayload:
    caller_call: Call | None = strawberry.field(
        default=None,
        description="The caller's call. Null if the mutation was refused, or if the token may not read it.",
    )
    agent_call: Call | None = strawberry.field(
        default=None, description="The agent's call. Null if the mutation was refused, or if the token may not read it."
    )
    conference: Conference | None = strawberry.field(
        default=None,
        description="The bridge of the two calls. Null if the mutation was refused, or if the token may not read it.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="The reasons for a refusal. Empty if the mutation was accepted.", metadata=list_of(10)
    )


@strawberry.type(description="The fields that all payloads of single simulated calls share. Not in the schema itself.")
class SimulatePayload:
    call: Call | None = strawberry.field(
        description="The call as it is now, also if the mutation was refused. Null if it does not exist, or if the "
        "token may not read it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="The reasons for a refusal. Empty if the mutation was accepted.", metadata=list_of(10)
    )


@strawberry.type(description="The payload of `simulateAnswer`.")
class SimulateAnswerPayload(SimulatePayload):
    pass


@strawberry.type(description="The payload of `simulateReject`.")
class SimulateRejectPayload(SimulatePayload):
    pass


@strawberry.type(description="The payload of `simulateHangup`.")
class SimulateHangupPayload(SimulatePayload):
    pass


@strawberry.type(description="The payload of `simulateHold`.")
class SimulateHoldPayload(SimulatePayload):
    pass
