"""The queries."""

from functools import partial
from typing import Annotated, Any

import strawberry
from strawberry import ID, UNSET

from app.api.context import Context, Info
from app.api.enums import OrderDirection
from app.api.errors import bad_input, require
from app.api.fields import resolved
from app.api.inputs import OptionalCallFilter, OptionalTransferFilter, call_filter, transfer_filter
from app.api.loaders import Loaders
from app.api.metering.price import IDS, MOST, PAGED, list_of
from app.api.paging import After, Before, Connection, Cursors, First, Last, event_cursors, window
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
from app.api.values import TransferCount, Viewer
from app.domain.viewer import Permission
from app.storage import pages

Id = Annotated[ID, strawberry.argument(description="The UUID of the object. Any other text finds nothing.")]


async def _node(loaders: Loaders, id_: str) -> Node | None:
    found = await loaders.node(id_)
    return node_of(found) if found else None


async def _length(context: Context, listing: pages.Listing[Any]) -> int:
    return await context.count(partial(context.loaders.count, listing), int)


async def _newest_first(
    info: Info, name: str, listing: pages.Listing[Any], of: Any, first: int | None, after: str | None
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


@strawberry.type(description="The queries.")
class Query:
    @resolved("The customer, subject and permissions of the request's token, and the server's clock.")
    def viewer(self, info: Info) -> Viewer:
        viewer = info.context.viewer
        return Viewer(
            customer_id=ID(viewer.customer_id),
            subject=viewer.subject,
            permissions=[permission for permission in Permission if permission in viewer.permissions],
            now=info.context.services.clock(),
        )

    @resolved(
        "Returns a transfer, call, groupcall or conference by its id. Null if it does not exist. Needs "
        "the permission to read its type."
    )
    async def node(self, info: Info, id: Id) -> Node | None:
        return await _node(info.context.loaders, id)

    @resolved(
        "Returns objects by their ids, in the order of the ids. An id that does not exist gives null. "
        "More than 100 ids are refused with `BAD_USER_INPUT`.",
        metadata=IDS,
    )
    def nodes(
        self, info: Info, ids: Annotated[list[ID], strawberry.argument(description="UUIDs, at most 100.")]
    ) -> list[Node | None]:
        if len(ids) > MOST:
            raise bad_input(f"At most {MOST} ids are allowed.")
        # Each node is resolved by itself, so that a forbidden one is an error at its own place only.
        found: Any = [_node(info.context.loaders, id_) for id_ in ids]
        return found  # type: ignore[no-any-return]

    @resolved("Returns a transfer by its id, even if it is deleted. Needs `TRANSFERS_READ`.")
    async def transfer(self, info: Info, id: Id) -> Transfer | None:
        return linked(Transfer.of, await info.context.loaders.transfer(id))

    @resolved("Lists transfers, ordered by `tmCreate`. Needs `TRANSFERS_READ`.", metadata=PAGED)
    async def transfers(
        self,
        info: Info,
        filter: OptionalTransferFilter = UNSET,
        order: Annotated[
            OrderDirection, strawberry.argument(description="The order of the list.")
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
        listing = pages.transfers(viewer.customer_id, transfer_filter(filter), newest_first=newest_first)
        page, seq = await loaders.page_and_seq(listing, asked)
        event_cursor = event_cursors(viewer.customer_id).encode(seq)
        return transfer_connection(page, cursors, event_cursor, partial(_length, info.context, listing))

    @resolved(
        "Counts transfers by status and reason. Combinations without transfers are left out. Needs `TRANSFERS_READ`.",
        metadata=list_of(10),
    )
    async def transfer_counts(self, info: Info, filter: OptionalTransferFilter = UNSET) -> list[TransferCount] | None:
        question = partial(info.context.loaders.transfer_counts, transfer_filter(filter))
        counted = await info.context.count(question, lambda found: sum(count for *_, count in found))
        return [TransferCount.of(one) for one in counted]

    @resolved("Returns a call by its id. Needs `CALLS_READ`.")
    async def call(self, info: Info, id: Id) -> Call | None:
        return linked(Call.of, await info.context.loaders.call(id))

    @resolved("Lists calls, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def calls(
        self, info: Info, filter: OptionalCallFilter = UNSET, first: First = UNSET, after: After = UNSET
    ) -> Connection[Call] | None:
        require(info.context.viewer, Permission.CALLS_READ)  # first: filter errors are for permitted clients
        listing = pages.calls(info.context.viewer.customer_id, call_filter(filter))
        return await _newest_first(info, "calls", listing, Call.of, first, after)

    @resolved("Returns a groupcall by its id. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info, id: Id) -> Groupcall | None:
        return linked(Groupcall.of, await info.context.loaders.groupcall(id))

    @resolved("Lists groupcalls, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def groupcalls(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Groupcall] | None:
        listing = pages.groupcalls(info.context.viewer.customer_id)
        return await _newest_first(info, "groupcalls", listing, Groupcall.of, first, after)

    @resolved("Returns a bridge by its id. Needs `CALLS_READ`.")
    async def conference(self, info: Info, id: Id) -> Conference | None:
        return linked(Conference.of, await info.context.loaders.conference(id))

    @resolved("Lists bridges, newest first. Needs `CALLS_READ`.", metadata=PAGED)
    async def conferences(
        self, info: Info, first: First = UNSET, after: After = UNSET
    ) -> Connection[Conference] | None:
        listing = pages.conferences(info.context.viewer.customer_id)
        return await _newest_first(info, "conferences", listing, Conference.of, first, after)
