"""Without a permission, its fields are null with an error of code FORBIDDEN, and all other fields are as before.

The expected response is that to a token with every permission, without the forbidden fields.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, get_named_type

from app.domain.viewer import Permission, Viewer
from tests.builders import NOON
from tests.security.conftest import Open
from tests.security.hearing import Told, heard, told, whole
from tests.security.premises import premises
from tests.security.walk import PUBLISHED, ROOTS, Json, document, probes
from tests.security.world import US, Estate, live
from tests.serving import Client, Failed, token

OPENS = {
    Permission.TRANSFERS_READ: {
        "Transfer",
        "TransferConnection",
        "TransferEdge",
        "TransferEvent",
        "TransferEventConnection",
        "TransferEventEdge",
        "TransferCount",
    },
    Permission.CALLS_READ: {
        "Call",
        "CallChange",
        "CallConnection",
        "CallEdge",
        "Groupcall",
        "GroupcallConnection",
        "GroupcallEdge",
        "Conference",
        "ConferenceConnection",
        "ConferenceEdge",
    },
}
"""The types that need a permission. So does every field that leads to one of them."""
OPEN_TO_ALL = {
    "Viewer",
    "PageInfo",
    "Address",
    "MetadataEntry",
    "TransferActor",
    "DialAttempt",
    "UserError",
    "Query",
    "Mutation",
    "Subscription",
}
LEAVES = {"Call.transferRole": Permission.TRANSFERS_READ}
NEEDS = {name: permission for permission, names in OPENS.items() for name in names}
MISSING = [{permission} for permission in Permission] + [set(Permission)]
NAMES = ["+".join(sorted(missing)) if len(missing) == 1 else "all" for missing in MISSING]


def without(missing: Iterable[Permission]) -> Viewer:
    full = US.viewer()
    return Viewer(full.customer_id, full.subject, frozenset(set(Permission) - set(missing)), NOON.replace(year=2100))


def needed(parent: GraphQLNamedType, name: str, field: GraphQLField) -> Permission | None:
    if parent is PUBLISHED.mutation_type:
        return Permission.SIMULATE if name.startswith("simulate") else Permission.TRANSFERS_WRITE
    return LEAVES.get(f"{parent.name}.{name}") or NEEDS.get(get_named_type(field.type).name)


def says_why(type_: str) -> bool:
    """Return whether a forbidden field is an error. In payloads and user errors it is null without one."""
    return not type_.endswith("Payload") and type_ != "UserError"


class Closed:
    """A response without the fields that need the missing permissions, and the paths of the errors."""

    def __init__(self, missing: set[Permission], whole: Any) -> None:
        self._missing = missing
        self.paths: set[tuple[str | int, ...]] = set()
        self.left = self._left(whole, ())

    def _left(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, list):
            return [self._left(one, (*path, number)) for number, one in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if _is_node(path) and NEEDS[value["__typename"]] in self._missing:
            self.paths.add(path)
            return None
        return {name: self._field(name, one, (*path, name)) for name, one in value.items()}

    def _field(self, alias: str, value: Any, path: tuple[str | int, ...]) -> Any:
        if alias == "__typename":
            return value
        type_, _, name = alias.partition("_")
        parent = PUBLISHED.type_map[type_]
        assert isinstance(parent, GraphQLObjectType)
        if needed(parent, name, parent.fields[name]) not in self._missing:
            return self._left(value, path)
        if says_why(type_):
            self.paths.add(path)
        return None


def _is_node(path: tuple[str | int, ...]) -> bool:
    """Return whether this is `node` or one of `nodes`, whose type (and so permission) is known once it is found."""
    return path == ("Query_node",) or (path[:1] == ("Query_nodes",) and len(path) == 2)


def check(missing: set[Permission], full: Told, now: Told) -> None:
    closed = Closed(missing, full[0])
    assert now[0] == closed.left
    assert {tuple(error["path"]) for error in now[1]} == closed.paths
    assert {error["extensions"]["code"] for error in now[1]} <= {"FORBIDDEN"}


def test_of_every_type_it_is_known_what_opens_it() -> None:
    types = {
        name
        for name, it in PUBLISHED.type_map.items()
        if isinstance(it, GraphQLObjectType) and not name.startswith("__") and not name.endswith("Payload")
    }
    assert types == OPEN_TO_ALL | NEEDS.keys()


def test_every_field_at_the_border_says_what_it_needs() -> None:
    silent = []
    for type_ in PUBLISHED.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or not says_why(type_.name):
            continue
        for name, field in type_.fields.items():
            needs = needed(type_, name, field)
            if needs and needs is not NEEDS.get(type_.name) and f"`{needs}`" not in (field.description or ""):
                silent.append(f"{type_.name}.{name}")
    # Fields of types such as CallChange need no word: the field that leads to the type has it.
    assert silent == []


# --- queries


def questions() -> list[tuple[str, Json]]:
    """Return each root field with its variables. A field that takes an id comes once for every id."""
    found = []
    for name in ROOTS["Query"].fields:
        some = [*probes("Query", name, US)]
        found += [(name, variables) for variables in (some if {"id"} == some[0].keys() else some[:1])]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
async def test_queries_show_the_rest(both: Estate, missing: set[Permission]) -> None:
    for name, variables in questions():
        if name == "viewer":
            continue
        text = document("Query", name, 2)
        full = await told(both, US.viewer(), text, **variables)
        assert full[1] == []
        check(missing, full, await told(both, without(missing), text, **variables))


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
async def test_viewers_may_always_read_what_their_token_says(both: Estate, missing: set[Permission]) -> None:
    data, errors = await told(both, without(missing), "{ viewer { customerId subject permissions } }")
    assert errors == []
    assert data["viewer"] == {
        "customerId": US.customer,
        "subject": US.secret,
        "permissions": [permission for permission in Permission if permission not in missing],
    }


NONSENSE = {
    "calls": "query { it: calls(first: 101, filter: {direction: UNKNOWN}) { totalCount } }",
    "transfers": 'query { it: transfers(first: 1, last: 1, after: "") { totalCount } }',
    "groupcalls": "query { it: groupcalls(first: -1) { totalCount } }",
    "conferences": 'query { it: conferences(after: "nonsense") { totalCount } }',
    "start": """mutation { it: startTransfer(input: {type: BLIND, transfererCallId: "", ringMethod: UNKNOWN,
        transfereeAddresses: [{type: UNKNOWN, target: ""}]}) { userErrors { code } } }""",
    "update": """mutation { it: updateTransfer(input: {transferId: "",
        metadata: [{key: "", value: ""}]}) { userErrors { code } } }""",
    "simulateCall": """mutation { it: simulateCall(input: {caller: {type: UNKNOWN, target: ""},
        agent: {type: TEL, target: ""}}) { userErrors { code } } }""",
    "hold": """mutation { it: simulateHold(input: {callId: "", isOnHold: true,
        muteDirection: UNKNOWN}) { userErrors { code } } }""",
}


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE)
async def test_nothing_is_said_about_the_input_of_what_may_not_be_asked(both: Estate, text: str) -> None:
    data, errors = await told(both, without(Permission), text)
    assert data == {"it": None}
    assert [error["extensions"] for error in errors] == [{"code": "FORBIDDEN"}]


async def test_nor_about_the_arguments_of_a_link(both: Estate) -> None:
    text = 'query ($id: ID!) { call(id: $id) { it: transfers(first: 101, after: "nonsense") { totalCount } } }'
    reader = without(set(Permission) - {Permission.CALLS_READ})
    data, errors = await told(both, reader, text, id=live(US).transferer_call_id)
    assert data == {"call": {"it": None}}
    assert [error["extensions"] for error in errors] == [{"code": "FORBIDDEN"}]


# --- mutations


@pytest.mark.parametrize("name", ROOTS["Mutation"].fields)
async def test_a_mutation_without_its_permission_does_nothing(both: Estate, name: str) -> None:
    mutation = ROOTS["Mutation"]
    needs = needed(mutation, name, mutation.fields[name])
    assert needs
    before = await both.rows_of(US.customer)
    for variables in probes("Mutation", name, US):
        data, errors = await told(both, without({needs}), document("Mutation", name, 1), **variables)
        assert data == {f"Mutation_{name}": None}
        assert [error["extensions"] for error in errors] == [{"code": "FORBIDDEN"}]
    assert await both.rows_of(US.customer) == before


READS = [{Permission.TRANSFERS_READ}, {Permission.CALLS_READ}, {Permission.TRANSFERS_READ, Permission.CALLS_READ}]


@pytest.mark.parametrize("missing", READS, ids=["transfers", "calls", "both"])
@pytest.mark.parametrize("name", ROOTS["Mutation"].fields)
async def test_a_mutation_shows_what_may_be_read_and_is_silent_on_the_rest(
    crowded: Path, copied: Open, name: str, missing: set[Permission]
) -> None:
    async with Estate(copied(crowded)).open() as estate, Estate(copied(crowded)).open() as twin:
        for variables in commands(name):
            text = document("Mutation", name, 2)
            full = await told(estate, US.viewer(), text, **variables)
            assert full[1] == []
            check(missing, full, await told(twin, without(missing), text, **variables))


def commands(name: str) -> list[Json]:
    """Return inputs that succeed and one that is refused. Swap and merge would wait, so they are only refused."""
    some = [*probes("Mutation", name, US)][:4]
    if name in ("swapTransfer", "mergeTransfer"):
        return [{"input": {**one["input"], "transferId": US.id("past")}} for one in some[:1]]
    return [*some, *some[:1]]


# --- subscriptions


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
@pytest.mark.parametrize("name", ROOTS["Subscription"].fields)
async def test_a_subscription_shows_the_rest_or_fails_before_it_begins(
    both: Estate, name: str, missing: set[Permission]
) -> None:
    field = ROOTS["Subscription"].fields[name]
    text = document("Subscription", name, 2)
    (*_, asked) = whole(name, US, next(probes("Subscription", name, US)))
    if name == "transferChanged":
        asked = {"id": live(US).id}
    full = await heard(both, US.viewer(), text, **asked)
    now = await heard(both, without(missing), text, **asked)
    if needed(ROOTS["Subscription"], name, field) in missing:
        ((data, (error,)),) = now
        assert (data, error["extensions"]) == (None, {"code": "FORBIDDEN"})
        return
    assert len(now) == len(full) > 0
    for one, other in zip(full, now, strict=True):
        check(missing, one, other)


# --- over the network


async def test_over_http_and_by_socket(tmp_path: Path) -> None:
    bearer = token(US.customer, Permission.CALLS_READ)
    async with premises(tmp_path) as house:
        async with house.client(Authorization=f"Bearer {bearer}") as client:
            answer = await client.post("/graphql", json={"query": "{ transfers { totalCount } calls { totalCount } }"})
            stream = await client.post(
                "/graphql", json={"query": SUBSCRIPTION}, headers={"Accept": "text/event-stream"}
            )
        subscribed = await by_socket(f"{house.url}/graphql", bearer)
    assert answer.status_code == 200
    assert answer.json()["data"] == {"transfers": None, "calls": {"totalCount": 0}}
    assert [error["extensions"] for error in answer.json()["errors"]] == [{"code": "FORBIDDEN"}]
    assert '"code":"FORBIDDEN"' in stream.text
    assert "event: complete" in stream.text
    assert subscribed == "FORBIDDEN"


SUBSCRIPTION = "subscription { transferEvents { id } }"


async def by_socket(url: str, bearer: str) -> str | None:
    """Return the code of the error message that ends a subscription."""
    async with Client(url, bearer).follow(SUBSCRIPTION) as events:
        with pytest.raises(Failed) as refused:
            await anext(events)
    return str(refused.value.code)
