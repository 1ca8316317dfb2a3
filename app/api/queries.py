"""Reads."""

from functools import partial
from typing import Annotated, Any

import strawberry
from strawberry import ID, UNSET

from app.api.context import Context, Info
from app.api.enums import OrderDirection
from app.api.fields import resolved
from app.api.inputs import CallFilter, TransferFilter, call_filter, transfer_filter
from app.api.loaders import Loaders
from app.api.metering.price import IDS, MOST, PAGED, list_of
from app.api.paging import After, Before, Connection, Cursors, First, Last, event_cursors, window
from app.api.parts import TransferCount
from app.api.refusals import bad_input, require
from app.api.types import (
    Call,
    Conference,
    Groupcall,
    Node,
    Transfer,
    TransferConnection,
    linked,
    node_of,
    transfer_connection,
)
from app.api.viewer import Viewer
from app.domain.viewer import Permission
from app.storage import lists

Id = Annotated[ID, strawberry.argument(description="Its UUID; anything else finds nothing.")]
WantedTransfers = Annotated[TransferFilter | None, strawberry.argument(description="Which ones; all when left out.")]
WantedCalls = Annotated[CallFilter | None, strawberry.argument(description="Which ones; all when left out.")]


async def _node(loaders: Loaders, id_: str) -> Node | None:
    found = await loaders.node(id_)
    return node_of(found) if found else None


async def _length(context: Context, listing: lists.Listing[Any]) -> int:
    return await context.count(partial(context.loaders.count, listing), int)


async def _newest_first(
    info: Info, name: str, listing: lists.Listing[Any], of: Any, first: int | None, after: str | None
) -> Connection[Any]:
    require(info.context.viewer, Permission.CALLS_READ)
    cursors = Cursors.of(name, info.context.viewer.customer_id)
    page = await info.context.loaders.page(listing, window(cursors.member_key, first, after))
    return Connection(
        nodes=[of(item) for item in page.items],
        cursors=lambda: [cursors.of_member(item) for item in page.items],
        page=page,
        count=partial(_length, info.context, listing),
    )


@strawberry.type(description="What can be read.")
class Query:
    @resolved("Who asks, and the server's clock.")
    def viewer(self, info: Info) -> Viewer:
        viewer = info.context.viewer
        return Viewer(
            customer_id=ID(viewer.customer_id),
            subject=viewer.subject,
            permissions=[permission for permission in Permission if permission in viewer.permissions],
            now=info.context.services.clock(),
        )

    @resolved(
        "Anything by its id: a transfer, call, groupcall or conference. Needs the permission to read its "
        "type. Null when there is none."
    )
    async def node(self, info: Info, id: Id) -> Node | None:
        return await _node(info.context.loaders, id)

    @resolved(
        "Several things by their ids, in this order, null where there is none. At most 100; more are "
        "refused with `BAD_USER_INPUT`.",
        metadata=IDS,
    )
    def nodes(
        self, info: Info, ids: Annotated[list[ID], strawberry.argument(description="Their UUIDs: at most 100.")]
    ) -> list[Node | None]:
        if len(ids) > MOST:
            raise bad_input(f"At most {MOST} ids.")
        # each on its own, so that one that may not be read is an error at its place, and no more
        found: Any = [_node(info.context.loaders, id_) for id_ in ids]
        return found  # type: ignore[no-any-return]

    @resolved("A transfer by its id, also a deleted one. Needs `TRANSFERS_READ`.")
    async def transfer(self, info: Info, id: Id) -> Transfer | None:
        return linked(Transfer.of, await info.context.loaders.transfer(id))

    @resolved("Transfers, by the time of their start. Needs `TRANSFERS_READ`.", metadata=PAGED)
    async def transfers(
        self,
        info: Info,
        filter: WantedTransfers = UNSET,
        order: Annotated[
            OrderDirection, strawberry.argument(description="Which end comes first.")
        ] = OrderDirection.DESC,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> TransferConnection | None:
        viewer, loaders = info.context.viewer, info.context.loaders
        require(viewer, Permission.TRANSFERS_READ)
        cursors = Cursors.of("transfers", order, viewer.customer_id)
        asked = window(cursors.member_key, first, after, last, before)
        newest_first = order is OrderDirection.DESC
        listing = lists.transfers(viewer.customer_id, transfer_filter(filter), newest_first=newest_first)
        page, seq = await loaders.page_and_seq(listing, asked)
        event_cursor = event_cursors(viewer.customer_id).encode(seq)
        return transfer_connection(page, cursors, event_cursor, partial(_length, info.context, listing))

    @resolved(
        "How many transfers there are, by status and reason; pairs without any are left out. Needs `TRANSFERS_READ`.",
        metadata=list_of(10),
    )
    async def transfer_counts(self, info: Info, filter: WantedTransfers = UNSET) -> list[TransferCount] | None:
        question = partial(info.context.loaders.transfer_counts, transfer_filter(filter))
        counted = await info.context.count(question, lambda found: sum(count for *_, count in found))
        return [TransferCount.of(one) for one in counted]

    @resolved("A call by its id. Needs `CALLS_READ`.")
    async def call(self, info: Info, id: Id) -> Call | None:
        return linked(Call.of, await info.context.loaders.call(id))

    @resolved("Calls, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def calls(
        self, info: Info, filter: WantedCalls = UNSET, first: First = UNSET, after: After = UNSET
    ) -> Connection[Call] | None:
        require(info.context.viewer, Permission.CALLS_READ)  # before anything is said about the filter
        listing = lists.calls(info.context.viewer.customer_id, call_filter(filter))
        return await _newest_first(info, "calls", listing, Call.of, first, after)

    @resolved("A groupcall by its id. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info, id: Id) -> Groupcall | None:
        return linked(Groupcall.of, await info.context.loaders.groupcall(id))

    @resolved("Groupcalls, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def groupcalls(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Groupcall] | None:
        listing = lists.groupcalls(info.context.viewer.customer_id)
        return await _newest_first(info, "groupcalls", listing, Groupcall.of, first, after)

    @resolved("A bridge by its id. Needs `CALLS_READ`.")
    async def conference(self, info: Info, id: Id) -> Conference | None:
        return linked(Conference.of, await info.context.loaders.conference(id))

    @resolved("Bridges, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def conferences(
        self, info: Info, first: First = UNSET, after: After = UNSET
    ) -> Connection[Conference] | None:
        listing = lists.conferences(info.context.viewer.customer_id)
        return await _newest_first(info, "conferences", listing, Conference.of, first, after)
