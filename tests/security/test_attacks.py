"""Known attacks on GraphQL servers, against the production server: each is refused, at little cost.

The section "Security" of app/server/README.md names the tests of each attack.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from sqlalchemy import insert, update
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from app.domain.transfer import Status
from app.limits import TransportLimits
from app.storage.columns import table
from app.storage.database import Database
from app.storage.rows import transfer_row
from app.storage.tables import TransferRow
from tests.builders import CUSTOMER, transfer, uid
from tests.security.premises import Premises, premises
from tests.security.world import US, Estate, live, settle_in
from tests.server.toy import authorization, site
from tests.serving import Json, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

CPU_SECONDS = 1.0
"""The most CPU time of client and server together. Without limits, the cheapest of these documents takes more."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Premises]:
    async with premises(tmp_path_factory.mktemp("attacked")) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def beyond_loopback(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Premises]:
    """A server with the settings for a public address."""
    async with premises(tmp_path_factory.mktemp("beyond"), host="0.0.0.0") as house:
        yield house


@asynccontextmanager
async def cheaply() -> AsyncIterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < CPU_SECONDS


async def refusals(house: Premises, query: str, status: int = 400) -> list[tuple[str, str]]:
    """Return the code and the message of each error."""
    async with cheaply(), house.client() as client:
        answer = await client.post("/graphql", json={"query": query})
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert "data" not in body
    return [(error["extensions"]["code"], error["message"]) for error in body["errors"]]


async def codes(house: Premises, query: str, status: int = 400) -> list[str]:
    return [code for code, _ in await refusals(house, query, status)]


# --- documents that multiply


def aliases(count: int) -> str:
    return "{" + " ".join(f"a{n}:__typename" for n in range(count)) + "}"


def fan_out(levels: int, width: int) -> str:
    """Return a document of width ** levels objects, with one fragment for each level."""
    each = "fragment F%d on Transfer{%s}"
    spread = [" ".join(f"a{w}:previousTransfer{{...F{n + 1}}}" for w in range(width)) for n in range(levels)]
    fragments = "".join(each % (n, inner) for n, inner in enumerate(spread))
    return f'{{transfer(id:""){{...F0}}}}{fragments}{each % (levels, "id")}'


def nested(depth: int) -> str:
    return '{transfer(id:"")' + "{previousTransfer" * depth + "{id}" + "}" * depth + "}"


def listed(levels: int) -> str:
    return (
        "{transfers(first:10){nodes{heldCalls" * 1
        + "{transfers(first:10){nodes{heldCalls" * levels
        + ("{id}" + "}}}" * levels + "}}}")
    )


async def test_ten_thousand_aliases(house: Premises) -> None:
    assert await codes(house, aliases(10_000), 413) == ["PAYLOAD_TOO_LARGE"]
    assert await codes(house, aliases(4_000)) == ["QUERY_TOO_LONG"]
    assert await codes(house, aliases(101)) == ["TOO_MANY_ALIASES"]


async def test_a_fan_out_of_fragments(house: Premises) -> None:
    deep = fan_out(18, 2)
    assert len(deep) < 1_500  # 262,144 objects
    assert await codes(house, deep) == ["QUERY_TOO_DEEP"]
    assert await codes(house, fan_out(6, 16)) == ["QUERY_TOO_COMPLEX"]


async def test_a_fan_out_of_lists(house: Premises) -> None:
    assert await codes(house, listed(2)) == ["QUERY_TOO_COMPLEX"]


async def test_a_page_size_in_disguise(house: Premises) -> None:
    """A variable of type Int may be 100.0, and counts as a page size of 100."""
    inner = "id"
    for _ in range(3):
        inner = f"events(first: $n) {{ nodes {{ transfer {{ {inner} }} }} }}"
    query = f"query ($n: Int) {{ transfers(first: $n) {{ nodes {{ {inner} }} }} }}"
    async with cheaply(), house.client() as client:
        answers = [await client.post("/graphql", json={"query": query, "variables": {"n": n}}) for n in (100, 100.0)]
    assert [answer.json()["errors"][0]["extensions"]["code"] for answer in answers] == ["QUERY_TOO_COMPLEX"] * 2


async def test_long_texts_again_and_again(house: Premises) -> None:
    """The response would have a few hundred megabytes, for a document of one kilobyte."""
    notes = " ".join(f"n{n}: note" for n in range(99))
    inner = f"events(first: 25) {{ nodes {{ transfer {{ {notes} }} }} }}"
    query = f'{{ transfer(id: "") {{ events(first: 24) {{ nodes {{ transfer {{ {inner} }} }} }} }} }}'
    assert await codes(house, query) == ["QUERY_TOO_COMPLEX"]


ADDRESSES = {"type": "BLIND", "transfererCallId": "", "transfereeAddresses": [{"type": "AI", "target": ""}] * 2_800}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("query($it: TransferFilter)", "transfers(filter: $it)", {"statuses": ["MERGED"] * 8_000}),
        ("mutation($it: StartTransferInput!)", "startTransfer(input: $it)", ADDRESSES),
    ],
)
async def test_a_large_value_used_a_hundred_times(house: Premises, kind: str, field: str, value: Json) -> None:
    uses = " ".join(f"a{n}: {field} {{ __typename }}" for n in range(100))
    async with cheaply(), house.client() as client:
        answer = await client.post("/graphql", json={"query": f"{kind} {{ {uses} }}", "variables": {"it": value}})
    assert answer.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


async def test_a_deep_document(house: Premises) -> None:
    assert await codes(house, nested(20)) == ["QUERY_TOO_DEEP"]
    assert await codes(house, nested(190)) == ["QUERY_TOO_DEEP"]
    assert await codes(house, nested(400)) == ["QUERY_TOO_DEEP"]
    assert await codes(house, "{" + "...{" * 30 + "__typename" + "}" * 31) == ["QUERY_TOO_DEEP"]


async def test_an_empty_selection(house: Premises) -> None:
    """The document is valid today, and is nothing special."""
    async with house.client() as client:
        answer = await client.post("/graphql", json={"query": "{viewer{}}"})
    assert answer.json()["data"] == {"viewer": {}}


async def test_an_unknown_fragment(house: Premises) -> None:
    assert await refusals(house, "{...Z}") == [("GRAPHQL_VALIDATION_FAILED", "Unknown fragment 'Z'.")]


async def test_five_thousand_directives(house: Premises) -> None:
    assert await codes(house, "{viewer" + "@a" * 5_000 + "{subject}}") == ["QUERY_TOO_LONG"]
    assert await codes(house, "{viewer" + "@a" * 101 + "{subject}}") == ["TOO_MANY_DIRECTIVES"]


async def test_the_same_field_six_thousand_times(house: Premises) -> None:
    assert await codes(house, "{" + "__typename " * 6_000 + "}") == ["QUERY_TOO_LONG"]
    assert await codes(house, "{" + "__typename " * 1_400 + "}") == ["TOO_MANY_REPEATS"]


async def test_a_hundred_fragments_of_the_same_fields(house: Premises) -> None:
    """graphql-core compares the fields of every fragment with those of every other one."""
    fragments = "".join(f"fragment f{n} on Transfer{{id note type status isLive version}}" for n in range(105))
    spreads = " ".join(f"...f{n}" for n in range(105))
    assert await codes(house, f'{{transfer(id:""){{{spreads}}}}}{fragments}') == ["TOO_MANY_SPREADS"]


async def test_fragments_in_a_circle(house: Premises) -> None:
    circle = "{...A} fragment A on Query{...B} fragment B on Query{...C} fragment C on Query{...A}"
    assert set(await codes(house, circle)) == {"GRAPHQL_VALIDATION_FAILED"}
    assert set(await codes(house, "{...A} fragment A on Query{viewer{subject} ...A}")) == {"GRAPHQL_VALIDATION_FAILED"}


async def test_comments_without_end(house: Premises) -> None:
    assert await codes(house, "#\n" * 20_000 + "{__typename}") == ["QUERY_TOO_LONG"]
    assert await codes(house, "#" + "x" * 40_000 + "\n{__typename}") == ["QUERY_TOO_LONG"]


# --- what the schema gives away


async def test_deep_introspection(house: Premises) -> None:
    deep = "{__schema{types{fields{type{fields{type{fields{type{name}}}}}}}}}"
    assert await refusals(house, deep) == [("GRAPHQL_VALIDATION_FAILED", "Maximum introspection depth exceeded")]


@pytest.mark.parametrize("query", ["{__schema{queryType{name}}}", '{__type(name:"Call"){name}}'])
async def test_introspection_beyond_loopback(beyond_loopback: Premises, query: str) -> None:
    assert set(await codes(beyond_loopback, query)) == {"GRAPHQL_VALIDATION_FAILED"}


MISSPELT: dict[str, Json] = {
    "field": {"query": "{viewr{subject}}"},
    "leaf": {"query": "{viewer{subjec}}"},
    "argument": {"query": "{transfers(frist:1){totalCount}}"},
    "type": {"query": "{...on Quer{__typename}}"},
    "enum": {"query": "{transfers(order:DSC){totalCount}}"},
    "input": {"query": "{transfers(filter:{statusess:[]}){totalCount}}"},
    "variable": {
        "query": "query($f:TransferFilter){transfers(filter:$f){totalCount}}",
        "variables": {"f": {"statusess": []}},
    },
    "value": {"query": "query($o:OrderDirection){transfers(order:$o){totalCount}}", "variables": {"o": "DSC"}},
}


@pytest.mark.parametrize("asked", MISSPELT.values(), ids=MISSPELT)
async def test_suggestions_go_with_introspection(house: Premises, beyond_loopback: Premises, asked: Json) -> None:
    async with house.client() as inside, beyond_loopback.client() as outside:
        helpful = (await inside.post("/graphql", json=asked)).json()["errors"]
        discreet = (await outside.post("/graphql", json=asked)).json()["errors"]
    assert "Did you mean" in helpful[0]["message"]
    assert "Did you mean" not in str(discreet)
    assert discreet[0]["extensions"]["code"] == helpful[0]["extensions"]["code"]


async def test_nor_are_there_any_on_a_socket(beyond_loopback: Premises) -> None:
    async with opened(beyond_loopback) as socket:
        for number, query in enumerate(("{viewr{subject}}", "subscription{transferEvents(aftr:null){id}}")):
            await say(socket, type="subscribe", id=str(number), payload={"query": query})
            message = await hear(socket)
            assert message["type"] == "error"
            assert "Did you mean" not in str(message)


@pytest.mark.parametrize("suggestions", [True, False])
async def test_a_hundred_misspelt_names(house: Premises, beyond_loopback: Premises, suggestions: bool) -> None:
    """A suggestion for each name searches all names of the schema, so few errors are reported."""
    query = "{" + " ".join(f"...on SimulateAnswerInp{n}{{id}}" for n in range(101)) + "}"
    found = await refusals(house if suggestions else beyond_loopback, query)
    assert len(found) < 10
    assert found[0][0] == "GRAPHQL_VALIDATION_FAILED"
    assert ("Did you mean" in found[0][1]) is suggestions


@pytest.mark.parametrize("path", ["/", "/docs", "/graphiql", "/graphiql/", "/graphiql/session.json", "/metrics"])
async def test_pages_beyond_loopback(beyond_loopback: Premises, path: str) -> None:
    async with beyond_loopback.client() as client:
        assert (await client.get(path)).status_code == 404


async def test_a_page_on_loopback_signs_nobody_in_without_a_demo(house: Premises) -> None:
    async with house.client() as client:
        assert (await client.get("/graphiql/session.json")).json() == {}


async def test_trusted_documents_are_not_to_be_had_by_a_client(house: Premises) -> None:
    """The server stores no document of a client to run it by its hash."""
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    async with house.client() as client:
        both = await client.post("/graphql", json={"query": "{__typename}", "extensions": hashed})
        alone = await client.post("/graphql", json={"extensions": hashed})
    assert both.json()["data"] == {"__typename": "Query"}
    assert (alone.status_code, alone.json()["errors"][0]["extensions"]["code"]) == (
        400,
        "PERSISTED_QUERY_NOT_SUPPORTED",
    )


async def test_only_trusted_documents(tmp_path: Path) -> None:
    """With this setting no other document runs, and neither does introspection."""
    known = "query Mine { viewer { customerId } }"
    (folder := tmp_path / "documents").mkdir()
    (folder / "mine.graphql").write_text(known)
    async with premises(tmp_path, documents=folder, documents_only=True) as house, house.client() as client:
        mine = await client.get("/graphql", params={"documentId": sha256(known.encode()).hexdigest()})
        other = await client.post("/graphql", json={"query": "{ __schema { types { name } } }"})
    assert mine.json()["data"] == {"viewer": {"customerId": CUSTOMER}}
    assert (other.status_code, other.json()["errors"][0]["extensions"]["code"]) == (400, "DOCUMENT_NOT_TRUSTED")


# --- bodies


DEEP = b"[" * 50_000 + b"]" * 50_000
BODIES: dict[str, tuple[bytes, int, str]] = {
    "batch": (b'[{"query": "{__typename}"}, {"query": "{__typename}"}]', 400, "BAD_REQUEST"),
    "5 MB": (b'{"query": "{__typename}", "variables": {"a": "%b"}}' % (b"x" * 5_000_000), 413, "PAYLOAD_TOO_LARGE"),
    "deep JSON": (DEEP[:90_000], 400, "BAD_REQUEST"),
    "deep variables": (b'{"query": "{__typename}", "variables": {"a": %b}}' % DEEP[25_000:75_000], 400, "BAD_REQUEST"),
    "bad UTF-8": (b'{"query": "\xff\xfe"}', 400, "BAD_REQUEST"),
    "half a surrogate": (b'{"query": "\\ud800"}', 400, "BAD_REQUEST"),
    "null": (b"null", 400, "BAD_REQUEST"),
    "string": (b'"{__typename}"', 400, "BAD_REQUEST"),
    "number": (b"5", 400, "BAD_REQUEST"),
    "nothing": (b"", 400, "BAD_REQUEST"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_a_weapon(house: Premises, name: str) -> None:
    body, status, code = BODIES[name]
    async with cheaply(), house.client() as client:
        answer = await client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code)


# --- sockets


@asynccontextmanager
async def opened(house: Premises, bearer: str | None = "") -> AsyncIterator[ClientConnection]:
    """Open a socket and sign in with this token. Empty: a token with every permission. None: don't sign in."""
    protocols = [Subprotocol("graphql-transport-ws")]
    async with connect(house.socket_url, subprotocols=protocols, compression=None) as socket:
        if bearer is not None:
            await say(socket, type="connection_init", payload={"Authorization": f"Bearer {bearer or token()}"})
            assert (await hear(socket))["type"] == "connection_ack"
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


async def hear(socket: ClientConnection) -> Json:
    async with asyncio.timeout(10):
        return dict(orjson.loads(await socket.recv()))


async def test_a_flood_of_subscriptions_on_one_socket(house: Premises) -> None:
    query = {"query": "subscription { transferEvents { id } }"}
    async with opened(house) as socket:
        for number in range(101):
            await say(socket, type="subscribe", id=str(number), payload=query)
        message = await hear(socket)
        assert (message["id"], message["type"]) == ("100", "error")
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"


async def test_a_flood_of_subscriptions_on_many_sockets(tmp_path: Path) -> None:
    subscribe = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { transferEvents { id } }"}}
    async with premises(tmp_path, customer_subscriptions=2) as house, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(opened(house)) for _ in range(3)]
        for socket in sockets:
            await say(socket, **subscribe)
        message = await hear(sockets[2])
    assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"


async def test_a_flood_of_sockets() -> None:
    """The default limits are 2,000. Here they are two."""
    assert (TransportLimits().address_connections, TransportLimits().customer_connections) == (2_000, 2_000)
    for limits in (TransportLimits(address_connections=2), TransportLimits(customer_connections=2)):
        async with site(limits) as running, AsyncExitStack() as stack:
            url = f"ws://127.0.0.1:{running.port}/graphql"
            said = []
            for _ in range(3):
                socket = await stack.enter_async_context(
                    connect(url, subprotocols=[Subprotocol("graphql-transport-ws")])
                )
                said.append(await greeted(socket))
            assert said == ["connection_ack", "connection_ack", 1013]


async def greeted(socket: ClientConnection) -> str | int | None:
    """Return the type of the response, or the code with which the socket is closed."""
    try:
        await say(socket, type="connection_init", payload=authorization())
        return str((await hear(socket))["type"])
    except ConnectionClosed:
        return socket.close_code


async def test_a_document_that_multiplies_by_socket(house: Premises) -> None:
    async with opened(house) as socket, cheaply():
        await say(socket, type="subscribe", id="1", payload={"query": fan_out(18, 2)})
        message = await hear(socket)
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "QUERY_TOO_DEEP")
        await say(socket, type="ping")  # the socket stays open
        assert await hear(socket) == {"type": "pong"}


@pytest.mark.parametrize("frame", ["{", "null", "[]", "5", '"x"', "[" * 50_000, '{"type": 5}', '{"type": "start"}'])
async def test_a_frame_that_is_a_weapon(house: Premises, frame: str) -> None:
    async with opened(house) as socket:
        await socket.send(frame)
        await socket.wait_closed()
        assert socket.close_code == 4400


async def test_a_frame_of_5_mb(house: Premises) -> None:
    async with opened(house) as socket:
        with suppress(ConnectionClosed):  # the server may close before all is sent
            await socket.send("x" * 5_000_000)
        await socket.wait_closed()
        assert socket.close_code == 1009


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_socket_from_a_page_of_another_origin(house: Premises, origin: str) -> None:
    protocols = [Subprotocol("graphql-transport-ws")]
    with pytest.raises(InvalidStatus) as refused:
        await connect(house.socket_url, subprotocols=protocols, origin=Origin(origin))
    assert refused.value.response.status_code == 403


async def test_the_legacy_protocol(house: Premises) -> None:
    async with connect(house.socket_url, subprotocols=[Subprotocol("graphql-ws")]) as socket:
        await socket.wait_closed()
        assert socket.close_code == 4406


async def test_a_socket_without_a_token_runs_nothing(house: Premises) -> None:
    async with opened(house, bearer=None) as socket:
        await say(socket, type="subscribe", id="1", payload={"query": "{__typename}"})
        await socket.wait_closed()
        assert socket.close_code == 4401


# --- requests that a page of another origin can make a browser send


QUERY = {"query": "{viewer{customerId}}"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_simple_post(house: Premises, kind: str) -> None:
    """A content type without a preflight is refused, with a token and with the cookies that a browser sends."""
    body = json.dumps(QUERY).encode()
    async with house.client() as client:
        answer = await client.post("/graphql", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 415
    async with httpx.AsyncClient(base_url=house.url, cookies={"Authorization": f"Bearer {token()}"}) as client:
        answer = await client.post("/graphql", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 401


async def test_a_get_without_a_header_that_forces_a_preflight(house: Premises) -> None:
    cookies = {"Authorization": f"Bearer {token()}", "token": token()}
    async with httpx.AsyncClient(base_url=house.url, cookies=cookies) as client:
        answer = await client.get("/graphql", params={**QUERY, "access_token": token(), "token": token()})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_mutation_by_get(house: Premises) -> None:
    query = 'mutation { deleteTransfer(input: {transferId: ""}) { deletedTransferId } }'
    async with house.client() as client:
        answer = await client.get("/graphql", params={"query": query})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_preflight_of_another_origin(house: Premises) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"
    async with house.client(**asked) as client:
        answer = await client.options("/graphql")
        simple = await client.post("/graphql", json=QUERY)
    for one in (answer, simple):
        assert not [name for name in one.headers if name.startswith("access-control-allow")]


# --- faults


async def test_a_fault_tells_nothing_of_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("broken")
    database = Database(f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}")
    await database.upgrade()
    async with Estate(database).open() as estate:
        await settle_in(estate, US, US)
        broken = update(table(TransferRow)).where(table(TransferRow).c.id == US.id("past"))
        async with database.writing() as connection:
            await connection.execute(broken.values(status="SOMETHING ELSE"))
    async with premises(folder) as house, house.client(Authorization=f"Bearer {token(US.customer)}") as client:
        query = "query ($id: ID!) { transfer(id: $id) { id } }"
        answer = await client.post("/graphql", json={"query": query, "variables": {"id": US.id("past")}})
        other = await client.post("/graphql", json={"query": query, "variables": {"id": live(US).id}})
    (error,) = answer.json()["errors"]
    assert (error["message"], error["path"]) == ("Internal server error", ["transfer"])
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": answer.headers["x-request-id"]}
    for text in ("SOMETHING ELSE", "ValueError", "Traceback", "SELECT", "sqlite"):
        assert text not in answer.text
    assert other.json()["data"] == {"transfer": {"id": live(US).id}}


async def test_who_spends_more_than_the_budget_has_to_wait(house: Premises) -> None:
    """A subscription pays for its start by its price, so four of these cost more than the budget holds."""
    query = "subscription{transferEvents{transfer{heldCalls{transfers(first:9){nodes{heldCalls{id}}}}}}}"
    async with opened(house, bearer=token(subject="spender")) as socket:
        for number in range(5):
            await say(socket, type="subscribe", id=str(number), payload={"query": query})
        message = await hear(socket)
    (error,) = message["payload"]
    assert (message["type"], error["extensions"]["code"]) == ("error", "THROTTLED")
    assert error["extensions"]["retryAfter"] > 0


async def test_to_count_long_lists_again_and_again(tmp_path: Path) -> None:
    """The budget pays for one count. Twenty more counts in a document wait for it, and later documents are refused."""
    counts = " ".join(f"c{n}: transfers(first: 0) {{ totalCount }}" for n in range(20))
    settings: Json = {"max_cost": 100, "budget": 400, "budget_rate": 1, "operation_seconds": 1}
    async with premises(tmp_path, host="0.0.0.0", **settings) as house, house.client() as client:
        await keep_history(house, 70 * 100)
        first = await client.post("/graphql", json={"query": "{ transfers(first: 0) { totalCount } }"})
        assert first.json()["data"] == {"transfers": {"totalCount": 70 * 100}}
        answers = [await client.post("/graphql", json={"query": f"{{ {counts} }}"}) for _ in range(2)]
    assert [answer.json()["errors"][0]["extensions"]["code"] for answer in answers] == [
        "EXECUTION_TIMEOUT",
        "THROTTLED",
    ]


async def keep_history(house: Premises, length: int) -> None:
    """Store so many ended transfers."""
    ended = transfer_row(transfer(Status.COMPLETED))
    rows = [ended | {"id": uid(f"past {n}"), "transferer_call_id": uid(f"call {n}")} for n in range(length)]
    database = Database(house.settings.url)
    try:
        async with database.writing() as connection:
            await connection.execute(insert(table(TransferRow)), rows)
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("{{ wrong_{} }}", "GRAPHQL_VALIDATION_FAILED"),
        ("{{ wrong_{} ]", "GRAPHQL_PARSE_FAILED"),
        ("query A {{ a_{0} }} query B {{ b_{0} }}", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_documents_that_are_new_each_time_are_paid_for_though_they_are_wrong(
    tmp_path: Path, wrong: str, code: str
) -> None:
    async with premises(tmp_path, host="0.0.0.0", max_cost=40, budget=100, budget_rate=1) as house:
        documents = [wrong.format(n).ljust(110) for n in range(4)]
        refused = [await codes(house, document) for document in documents[:3]]
        throttled = await codes(house, documents[3], 429)
    assert (refused, throttled) == ([[code]] * 3, ["THROTTLED"])


async def test_so_has_one_who_asks_over_http(tmp_path: Path) -> None:
    change = {"query": 'mutation { cancelTransfer(input: {transferId: "none"}) { userErrors { code } } }'}
    async with premises(tmp_path, max_cost=40, budget=60, budget_rate=1) as house, house.client() as client:
        answers = [await client.post("/graphql", json=change) for _ in range(3)]
    (error,) = answers[2].json()["errors"]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert error["extensions"]["code"] == "THROTTLED"
    assert int(answers[2].headers["Retry-After"]) >= error["extensions"]["retryAfter"] > 0
