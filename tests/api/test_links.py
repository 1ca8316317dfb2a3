"""Links: each leads to the right object, and a large page needs no more statements than a small one."""

from dataclasses import replace
from typing import Any

from app.domain.transfer import HeldParty, Status, derived_id
from app.storage.transfers import by_ids
from tests.api.archive import Archive, statements
from tests.builders import bridge, call, leg, transfer, uid

EVERYTHING = """query ($first: Int!) { transfers(first: $first) {
    nodes {
        id
        transfererCall { ...Party }
        transfereeCall { ...Party }
        heldCalls { ...Party }
        groupcall { id calls { ...Party } answerCall { id } transfer { id } }
        conference { id calls { ...Party } }
        previousTransfer { id groupcall { id } }
        attempts { callId call { ...Party } }
        events(first: 5) { nodes { version transfer { id version } } totalCount pageInfo { hasNextPage } }
    }
    totalCount
} }
fragment Party on Call {
    id transfer { id } transferRole groupcall { id } conference { id }
    transfers(first: 3) { nodes { id } totalCount pageInfo { hasNextPage } }
}"""


MOST_STATEMENTS = 24  # about 16: the number depends on which loads fall into the same batch


async def keep_whole_transfers(archive: Archive, count: int) -> None:
    for number in range(count):
        own = {name: uid(f"{name} {number}") for name in ("transferer", "held", "bridge", "transfer", "groupcall")}
        t = transfer(
            Status.CONSULTING,
            id=own["transfer"],
            transferer_call_id=own["transferer"],
            confbridge_id=own["bridge"],
            groupcall_id=own["groupcall"],
            held=(HeldParty(own["held"]),),
            transferee_call_id=derived_id(own["transfer"], "leg", 0),
            previous_transfer_id=uid(f"transfer {number - 1}") if number else None,
            attempts=tuple(
                replace(attempt, call_id=derived_id(own["transfer"], "leg", n))
                for n, attempt in enumerate(transfer(Status.CONSULTING).attempts)
            ),
        )
        parties = [call(own[name], confbridge_id=own["bridge"]) for name in ("transferer", "held")]
        legs = [leg(attempt.call_id, groupcall_id=own["groupcall"]) for attempt in t.attempts]
        await archive.keep(t, *parties, *legs, replace(bridge(), id=own["bridge"]))


async def cost(archive: Archive, first: int) -> int:
    with statements() as heard:
        page = (await archive.ask(EVERYTHING, first=first))["transfers"]
    assert len(page["nodes"]) == first
    return len(heard)


async def test_a_page_with_all_links_costs_a_small_number_of_statements_whatever_its_size(archive: Archive) -> None:
    await keep_whole_transfers(archive, 50)
    for first in (1, 10, 50):
        assert await cost(archive, first) <= MOST_STATEMENTS


async def test_every_link_leads_where_it_says(archive: Archive) -> None:
    await keep_whole_transfers(archive, 2)
    query = "query ($id: ID!) { node(id: $id) { ... on Transfer { %s } } }"
    fields = EVERYTHING[EVERYTHING.index("nodes {") + 7 : EVERYTHING.index("    }\n    totalCount")]
    fragment = EVERYTHING[EVERYTHING.index("fragment") :]
    found = (await archive.ask(query % fields + fragment, id=uid("transfer 1")))["node"]
    itself, groupcall, place = {"id": uid("transfer 1")}, {"id": uid("groupcall 1")}, {"id": uid("bridge 1")}
    legs = [derived_id(itself["id"], "leg", n) for n in range(2)]

    def party(id_: str, role: str, **links: Any) -> dict[str, Any]:
        seen = {"nodes": [itself], "totalCount": 1, "pageInfo": {"hasNextPage": False}}
        plain = {"id": id_, "transfer": itself, "transferRole": role, "transfers": seen}
        return plain | {"groupcall": None, "conference": place} | links

    transferer, held = party(uid("transferer 1"), "TRANSFERER"), party(uid("held 1"), "HELD")
    dialled = [party(id_, "DESTINATION", groupcall=groupcall, conference=None) for id_ in legs]
    assert sorted(found["conference"].pop("calls"), key=lambda one: str(one["id"])) == sorted(
        (transferer, held), key=lambda one: str(one["id"])
    )
    assert found == {
        **itself,
        "transfererCall": transferer,
        "transfereeCall": dialled[0],
        "heldCalls": [held],
        "groupcall": groupcall | {"calls": dialled, "answerCall": {"id": legs[0]}, "transfer": itself},
        "conference": place,
        "previousTransfer": {"id": uid("transfer 0"), "groupcall": {"id": uid("groupcall 0")}},
        "attempts": [{"callId": id_, "call": one} for id_, one in zip(legs, dialled, strict=True)],
        "events": {
            "nodes": [{"version": 1, "transfer": itself | {"version": 3}}],
            "totalCount": 1,
            "pageInfo": {"hasNextPage": False},
        },
    }


async def test_links_that_lead_nowhere_are_null(archive: Archive) -> None:
    await archive.keep(transfer())
    query = """query ($id: ID!) { transfer(id: $id) {
        transfererCall { id } transfereeCall { id } heldCalls { id } conference { id } previousTransfer { id }
        groupcall { answerCall { id } calls { id } } attempts { call { id } }
    } }"""
    assert (await archive.ask(query, id=transfer().id))["transfer"] == {
        "transfererCall": None,
        "transfereeCall": None,
        "heldCalls": [],
        "conference": None,
        "previousTransfer": None,
        "groupcall": {"answerCall": None, "calls": []},
        "attempts": [{"call": None}, {"call": None}],
    }


async def test_a_link_shows_a_deleted_transfer(archive: Archive) -> None:
    await keep_whole_transfers(archive, 1)
    later = transfer(Status.RINGING, previous_transfer_id=uid("transfer 0"))
    await archive.keep(later)
    async with archive.database.reading() as connection:
        before = (await by_ids(connection, later.customer_id, [uid("transfer 0")]))[uid("transfer 0")]
    await archive.change(before, {"tm_delete": before.tm_update})
    query = "query ($id: ID!) { transfer(id: $id) { previousTransfer { isDeleted } } }"
    assert (await archive.ask(query, id=later.id))["transfer"]["previousTransfer"] == {"isDeleted": True}


async def test_fields_of_one_name_and_two_types_stand_side_by_side_with_aliases(archive: Archive) -> None:
    """The aliases are those in the description of `Node` and in app/api/README.md."""
    await archive.keep(transfer(), call())
    fields = "... on Transfer { transferStatus: status } ... on Call { callStatus: status }"
    query = f"query ($a: ID!, $b: ID!) {{ a: node(id: $a) {{ {fields} }} b: node(id: $b) {{ {fields} }} }}"
    found = await archive.ask(query, a=transfer().id, b=call().id)
    assert found == {"a": {"transferStatus": "RINGING"}, "b": {"callStatus": "PROGRESSING"}}
