"""Another customer sees nothing, by any path.

Every test compares two databases: one has both tenants ("us" and "them"), the other has us alone. Both have the same
rows of ours, and some of these point at rows of theirs. Our responses must be equal. A test makes sure that every link
of the schema leads somewhere for its owner: otherwise equal responses would prove nothing.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import delete

from app.api.paging import event_cursors
from app.calls import Calls
from app.dispatch import Dispatch
from app.domain.effects import Rules
from app.main import build_server
from app.settings import Settings
from app.storage import orders
from app.storage.filters import EVENTS
from tests.api.archive import statements
from tests.builders import NOON
from tests.security.conftest import Open
from tests.security.hearing import heard, told, whole
from tests.security.walk import ROOTS, Json, all_links, all_probes, document, probes, seen
from tests.security.world import NOBODY, THEM, US, Estate, Tenant, call_of, ids_of, live
from tests.serving import SECRET, token

pytestmark = pytest.mark.slow

WAITING = {"swapTransfer", "mergeTransfer"}
"""Mutations that wait for the engine, which does not run here."""
START = """mutation ($input: StartTransferInput!) {
    startTransfer(input: $input) { transfer { id } userErrors { code message field transfer { id } } }
}"""


BY_ID = {"transfer", "call", "groupcall", "conference"}


def depth(name: str) -> int:
    """Return a depth that takes little time. A node may have any type, so its depth is smaller."""
    return 2 if name in ("node", "nodes") else 3


# --- the paths lead somewhere


async def reached_by(estate: Estate, it: Tenant) -> set[str]:
    found = set()
    for name in ROOTS["Query"].fields:
        for variables in [*probes("Query", name, it)][: None if depth(name) == 2 or name in BY_ID else 1]:
            found |= seen(await told(estate, it.viewer(), document("Query", name, depth(name)), **variables))
    for name in ROOTS["Subscription"].fields:
        for variables in [*whole(name, it, next(probes("Subscription", name, it)))]:
            found |= seen(await heard(estate, it.viewer(), document("Subscription", name, 1), **variables))
    for name in ROOTS["Mutation"].fields:
        for variables in _commands(name, it):
            found |= seen(await told(estate, it.viewer(), document("Mutation", name, 2), **variables))
    return found


def _commands(name: str, it: Tenant) -> list[Json]:
    if name in WAITING:  # a transfer that has ended refuses them at once
        return [
            {"input": {**one["input"], "transferId": it.id("past")}} for one in [next(probes("Mutation", name, it))]
        ]
    return [*probes("Mutation", name, it)][:6]


async def test_every_link_of_the_schema_leads_somewhere_for_its_owner(both: Estate) -> None:
    assert all_links() - await reached_by(both, THEM) == set()


# --- the paths lead nowhere for us


@pytest.mark.parametrize("name", ROOTS["Query"].fields)
async def test_no_query_tells_us_whether_they_exist(both: Estate, alone: Estate, name: str) -> None:
    for number, variables in enumerate(all_probes("Query", name, THEM, US, NOBODY)):
        text = document("Query", name, depth(name) if number == 0 or "id" in variables else 1)
        answer = await told(both, US.viewer(), text, **variables)
        assert answer == await told(alone, US.viewer(), text, **variables), variables
        assert THEM.secret not in str(answer[0])
        assert THEM.customer not in str(answer)


@pytest.mark.parametrize("name", ROOTS["Subscription"].fields)
async def test_no_subscription_tells_us_whether_they_exist(both: Estate, alone: Estate, name: str) -> None:
    for number, variables in enumerate(all_probes("Subscription", name, THEM, US, NOBODY)):
        text = document("Subscription", name, 0 if number else 2)
        for asked in whole(name, US, variables):
            said = await heard(both, US.viewer(), text, **asked)
            assert said == await heard(alone, US.viewer(), text, **asked), asked
            assert THEM.secret not in str(said)


@pytest.mark.parametrize("name", ROOTS["Mutation"].fields)
async def test_no_mutation_reaches_what_is_theirs(both: Estate, alone: Estate, name: str) -> None:
    before = await both.rows_of(THEM.customer)
    text = document("Mutation", name, 1)
    for variables in all_probes("Mutation", name, THEM, NOBODY):
        answer = await told(both, US.viewer(), text, **variables)
        assert answer == await told(alone, US.viewer(), text, **variables), variables
        assert THEM.secret not in str(answer[0])
    assert await both.rows_of(THEM.customer) == before


@pytest.mark.parametrize("name", ["completeTransfer", "cancelTransfer", "updateTransfer", "deleteTransfer"])
async def test_a_command_to_a_transfer_of_ours_that_points_at_them_does_nothing_to_them(
    both: Estate, alone: Estate, name: str
) -> None:
    before = await both.rows_of(THEM.customer)
    for variables in probes("Mutation", name, US):
        text = document("Mutation", name, 1)
        assert await told(both, US.viewer(), text, **variables) == await told(alone, US.viewer(), text, **variables)
        await carry_out(both)
        await carry_out(alone)
    assert await both.rows_of(THEM.customer) == before


async def carry_out(estate: Estate) -> None:
    """Carry out the recorded orders."""
    calls = Calls(estate.database, estate.broker, lambda: NOON)
    transfers = estate.services.transfers
    dispatch = Dispatch(estate.database, estate.broker, estate.simulator, lambda: NOON, transfers, calls, Rules())
    async with estate.database.reading() as connection:
        waiting = await orders.with_waiting(connection)
    for transfer_id in waiting:
        await dispatch.carry_out_all(transfer_id)


# --- a bridge with calls of both tenants, should an exchange ever report one


async def test_a_start_in_a_bridge_of_theirs_does_not_tell_that_they_have_a_transfer(
    both: Estate, alone: Estate
) -> None:
    asked = start(US, US.id("crooked"), "key")
    assert await told(both, US.viewer(), START, **asked) == await told(alone, US.viewer(), START, **asked)


async def test_a_call_of_theirs_that_joins_our_bridge_becomes_no_party_of_ours(both: Estate) -> None:
    joined = call_of(THEM, THEM.id("newcomer"), confbridge_id=live(US).confbridge_id)
    await both.keep(joined)
    await both.services.transfers.look(live(US).id)
    text = "query ($id: ID!) { transfer(id: $id) { heldCallIds events(first: 100) { totalCount } } }"
    data, _ = await told(both, US.viewer(), text, id=live(US).id)
    assert data["transfer"] == {"heldCallIds": [*live(US).held_call_ids], "events": {"totalCount": 1}}


async def test_nor_does_one_that_is_there_at_the_start(both: Estate) -> None:
    for what in ("idle bridge", "free bridge"):
        await both.keep(call_of(THEM, THEM.id(f"guest in {what}"), confbridge_id=US.id(what)))
    text = START.replace("transfer { id } user", "transfer { heldCallIds } user")
    data, _ = await told(both, US.viewer(), text, **start(US, US.id("idle"), "one"))
    assert data["startTransfer"]["transfer"] == {"heldCallIds": [US.id("idle too")]}
    data, _ = await told(both, US.viewer(), text, **start(US, US.id("free"), "two"))
    assert [error["code"] for error in data["startTransfer"]["userErrors"]] == ["NO_OTHER_PARTY"]


# --- their events are not sent to us


@pytest.mark.parametrize("name", ROOTS["Subscription"].fields)
async def test_what_happens_to_them_is_not_told_to_us(both: Estate, name: str) -> None:
    asked = {"id": live(US).id} if name == "transferChanged" else {}
    async with both.following(document("Subscription", name, 0), US.viewer(), **asked) as stream:
        coming = await when_quiet(both, stream)
        await both.change(live(THEM), {"note": "changed"})
        await both.keep(call_of(THEM, THEM.id("newcomer"), confbridge_id=US.id("bridge of live")))
        both.broker.waiting.clear()
        await both.wake(US.customer)  # as if by mistake
        await both.broker.waiting.wait()
        assert not coming.done()
        coming.cancel()
        await asyncio.wait([coming])


async def when_quiet(estate: Estate, stream: AsyncGenerator[Any]) -> asyncio.Future[Any]:
    """Return the next message after the messages that were already due."""
    while True:
        coming = asyncio.ensure_future(anext(stream))
        idle = asyncio.ensure_future(estate.broker.waiting.wait())
        await asyncio.wait([coming, idle], return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            return coming
        idle.cancel()
        coming.result()


# --- their idempotency keys and cursors mean nothing to us


def start(it: Tenant, call_id: str, key: str) -> Json:
    to = {"type": "SIP", "target": "new@elsewhere.example"}
    given = {"type": "BLIND", "transfererCallId": call_id, "transfereeAddresses": [to], "idempotencyKey": key}
    return {"input": given}


async def test_an_idempotency_key_is_a_customers_own(both: Estate) -> None:
    key = live(THEM).idempotency_key or ""
    ours, _ = await told(both, US.viewer(), START, **start(US, US.id("idle"), key))
    assert ours["startTransfer"]["userErrors"] == []
    assert ours["startTransfer"]["transfer"]["id"] != live(THEM).id
    again, _ = await told(both, US.viewer(), START, **start(US, US.id("idle"), key))
    assert again == ours
    conflict, _ = await told(both, THEM.viewer(), START, **start(THEM, THEM.id("idle"), key))
    (error,) = conflict["startTransfer"]["userErrors"]
    assert (error["code"], error["transfer"]) == ("IDEMPOTENCY_CONFLICT", {"id": live(THEM).id})


PAGES = {
    "transfers": "transfers(first: 1 %s) { pageInfo { endCursor } }",
    "calls": "calls(first: 1 %s) { pageInfo { endCursor } }",
    "groupcalls": "groupcalls(first: 1 %s) { pageInfo { endCursor } }",
    "conferences": "conferences(first: 1 %s) { pageInfo { endCursor } }",
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_a_cursor_of_theirs_is_none_of_ours(both: Estate, page: str) -> None:
    theirs, _ = await told(both, THEM.viewer(), "{ it: " + page % "" + " }")
    cursor = theirs["it"]["pageInfo"]["endCursor"]
    text = "query ($after: String) { it: " + page % "after: $after" + " }"
    data, errors = await told(both, US.viewer(), text, after=cursor)
    assert data == {"it": None}
    assert (data, errors) == await told(both, US.viewer(), text, after="nonsense")
    assert errors[0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(("field", "nested"), [("call", "transfers"), ("transfer", "events")])
async def test_nor_are_those_of_their_nested_lists(both: Estate, field: str, nested: str) -> None:
    ids = {it: live(it).transferer_call_id if field == "call" else live(it).id for it in (US, THEM)}
    text = f"""query ($id: ID!, $after: String) {{
        it: {field}(id: $id) {{ list: {nested}(first: 1, after: $after) {{ pageInfo {{ endCursor }} }} }}
    }}"""
    theirs, _ = await told(both, THEM.viewer(), text, id=ids[THEM])
    cursor = theirs["it"]["list"]["pageInfo"]["endCursor"]
    data, errors = await told(both, US.viewer(), text, id=ids[US], after=cursor)
    assert data == {"it": {"list": None}}
    assert (data, errors) == await told(both, US.viewer(), text, id=ids[US], after="nonsense")


async def test_a_place_in_their_log_is_none_in_ours(both: Estate) -> None:
    text = "subscription ($after: String) { transferEvents(after: $after) { transferId } }"
    page, _ = await told(both, THEM.viewer(), "{ transfers { eventCursor } }")
    for cursor in (page["transfers"]["eventCursor"], event_cursors(THEM.customer).encode(0)):
        assert await both.refusal(text, US.viewer(), after=cursor) == "CURSOR_INVALID"


async def test_where_our_log_begins_is_not_where_theirs_does(both: Estate, alone: Estate) -> None:
    text = document("Subscription", "transferEvents", 0)
    for estate in (both, alone):
        async with estate.database.writing() as connection:
            early = (EVENTS.c.customer_id == US.customer) & (EVENTS.c.seq <= 2)
            await connection.execute(delete(EVENTS).where(early))
        ((_, (error,)),) = await heard(estate, US.viewer(), text, after=event_cursors(US.customer).encode(0))
        assert error["extensions"] == {"code": "CURSOR_EXPIRED"}


# --- a foreign id is treated as an unknown one: the same words, and the same statements


def asking(root: str) -> list[tuple[str, str]]:
    """Return the root fields that take one id, with the name of the argument or input field that takes it."""
    found = []
    for name in ROOTS[root].fields:
        least = next(probes(root, name, THEM))
        given: Mapping[str, Any] = least.get("input", least)
        found += [(name, it) for it, value in given.items() if it == "id" or it.endswith("Id")]
    return found


def with_id(root: str, name: str, argument: str, id_: str) -> Json:
    least = next(probes(root, name, THEM))
    return {"input": {**least["input"], argument: id_}} if "input" in least else {**least, argument: id_}


THEIR_IDS = ids_of(THEM)["id"]


@pytest.mark.parametrize(("root", "name", "argument"), [(r, *a) for r in ("Query", "Mutation") for a in asking(r)])
async def test_a_foreign_id_takes_the_statements_of_an_unknown_one(
    both: Estate, root: str, name: str, argument: str
) -> None:
    text = document(root, name, 2 if root == "Query" else 1)
    heard_of = []
    for id_ in (NOBODY.id("thing"), *THEIR_IDS):
        with statements() as asked:
            answer = await told(both, US.viewer(), text, **with_id(root, name, argument, id_))
        heard_of.append((answer, [one.sql for one in asked]))
    assert all(one == heard_of[0] for one in heard_of)


async def test_a_foreign_id_is_answered_byte_by_byte_as_an_unknown_one(crowded: Path, copied: Open) -> None:
    settings = Settings(database_url=str(copied(crowded).url), auth_secret=cast(Any, SECRET))
    server = build_server(settings)
    headers = {"Authorization": f"Bearer {token(US.customer)}", "Accept": "application/graphql-response+json"}
    transport = httpx.ASGITransport(app=server.app)
    async with server.house.open(), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for root, name, argument in [(r, *a) for r in ("Query", "Mutation") for a in asking(r)]:
            text = document(root, name, 1)
            said = set()
            for id_ in (NOBODY.id("thing"), *THEIR_IDS[::3]):
                body = {"query": text, "variables": with_id(root, name, argument, id_)}
                answer = await client.post("/graphql", json=body, headers=headers)
                said.add((answer.status_code, impersonal(answer, id_)))
            assert len(said) == 1, (name, said)


def impersonal(answer: httpx.Response, id_: str) -> tuple[str, str]:
    """Return the response without what differs between two requests: the id, the times, and the budget."""
    text = answer.text.replace(id_, "ID")
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    return re.sub(r'"remaining":\d+,"resetAt":"[^"]+"', "", text), str(headers)


async def test_a_foreign_id_is_an_unknown_one_to_subscriptions(both: Estate) -> None:
    text = document("Subscription", "transferChanged", 1)
    unknown = await heard(both, US.viewer(), text, id=NOBODY.id("thing"))
    for id_ in THEIR_IDS:
        assert await heard(both, US.viewer(), text, id=id_) == unknown
    assert unknown[0][1][0]["extensions"] == {"code": "NOT_FOUND"}
