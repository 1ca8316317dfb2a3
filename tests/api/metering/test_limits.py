"""Operations that ask for too much are refused before they run, and operations that clients need pass."""

import asyncio
import math
import re
import time

import pytest
from graphql import (
    GraphQLError,
    Lexer,
    OperationType,
    Source,
    TokenKind,
    build_schema,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    parse,
    specified_rules,
    validate,
)

from app.api.execution.document import count_tokens, parse_within
from app.api.metering.budget import Budget
from app.api.metering.cost import (
    Meter,
    counted_cost,
    input_cost,
    inputs_of,
    literal_size,
    operations,
    sizes_of,
    value_size,
)
from app.api.metering.guard import limits_rule
from app.api.metering.limits import LimitExceeded, Limits, too_complex
from app.api.metering.price import IDS, PAGED, list_of, text_of
from app.api.schema import sdl

# Shaped like the contract: connections, links that lead back, lists without a page size.
SCHEMA = build_schema("""
  type Query {
    viewer: Viewer!
    node(id: ID!): Node
    nodes(ids: [ID!]!): [Node]!
    transfer(id: ID!): Transfer
    transfers(first: Int, after: String, last: Int, before: String): TransferConnection
    calls(first: Int, after: String): CallConnection
    conference(id: ID!): Conference
  }
  type Mutation { startTransfer(id: ID!): StartTransferPayload }
  type Subscription { transferChanged(id: ID!): TransferEvent! }
  type Viewer { customerId: ID! subject: String! }
  type StartTransferPayload { transfer: Transfer userErrors: [UserError!]! }
  type UserError { message: String! }
  interface Node { id: ID! }
  type Address { type: String! target: String! targetName: String! name: String! detail: String! }
  type Transfer implements Node {
    id: ID! status: String! type: String! note: String version: Int! tmCreate: String! tmEnd: String
    transfereeAddresses: [Address!]! metadata: [MetadataEntry!]! heldCallIds: [ID!]! attempts: [DialAttempt!]!
    transfererCall: Call transfereeCall: Call heldCalls: [Call!] groupcall: Groupcall conference: Conference
    previousTransfer: Transfer
    events(first: Int, after: String, last: Int, before: String): TransferEventConnection
  }
  type MetadataEntry { key: String! value: String! }
  type DialAttempt { address: Address! call: Call outcome: String! }
  type Call implements Node {
    id: ID! status: String! source: Address! destination: Address!
    conference: Conference transfer: Transfer transfers(first: Int, after: String): TransferConnection
  }
  type Groupcall implements Node {
    id: ID! status: String! source: Address! destinations: [Address!]!
    answerCall: Call calls: [Call!] transfer: Transfer
  }
  type Conference implements Node { id: ID! name: String! calls: [Call!] }
  type TransferEvent { id: ID! status: String! actor: Actor transfer: Transfer! }
  type Actor { party: String! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type TransferConnection { edges: [TransferEdge!]! nodes: [Transfer!]! pageInfo: PageInfo! totalCount: Int! }
  type TransferEdge { cursor: String! node: Transfer! }
  type CallConnection { edges: [CallEdge!]! nodes: [Call!]! pageInfo: PageInfo! }
  type CallEdge { cursor: String! node: Call! }
  type TransferEventConnection { nodes: [TransferEvent!]! pageInfo: PageInfo! }
""")
for owner, name, price in (
    ("Query", "nodes", IDS),
    *(("Query", name, PAGED) for name in ("transfers", "calls")),
    *(("Transfer", name, list_of(10)) for name in ("transfereeAddresses", "attempts")),
    ("Transfer", "metadata", list_of(20)),
    ("Transfer", "heldCalls", list_of(100)),
    ("Transfer", "events", PAGED),
    ("Transfer", "note", text_of(2_000)),
    ("MetadataEntry", "key", text_of(64)),
    ("MetadataEntry", "value", text_of(512)),
    *(("Address", name, text_of(255)) for name in ("target", "targetName", "name", "detail")),
    ("Call", "transfers", PAGED),
    *(("Groupcall", name, list_of(10)) for name in ("destinations", "calls")),
    ("Conference", "calls", list_of(100)),
    ("StartTransferPayload", "userErrors", list_of(10)),
):
    SCHEMA.type_map[owner].fields[name].extensions = dict(price)  # type: ignore[attr-defined]

LIMITS = Limits()
RULE = limits_rule(LIMITS)


def errors_of(text: str, limits: Limits = LIMITS) -> list[GraphQLError]:
    """Return the errors that a server finds: it parses first, and then applies all rules."""
    rule = RULE if limits is LIMITS else limits_rule(limits)
    try:
        return validate(SCHEMA, parse_within(text, limits), [rule, *specified_rules])
    except GraphQLError as error:
        return [error]


def codes_of(text: str, limits: Limits = LIMITS) -> list[str | None]:
    return [(it.extensions or {}).get("code") for it in errors_of(text, limits)]


def cost_of(text: str, limits: Limits = LIMITS, **values: object) -> int:
    document = parse(text)
    operation = operations(document)[0]
    return Meter(SCHEMA, document, limits, sizes_of(operation, values)).cost(operation)


def scalars_of(name: str) -> str:
    fields = SCHEMA.type_map[name].fields  # type: ignore[attr-defined]
    return " ".join(it for it, field in fields.items() if is_leaf_type(get_named_type(field.type)))


def a_page_with_all_links(first: int) -> str:
    address = "{ " + scalars_of("Address") + " }"
    call = f"{{ {scalars_of('Call')} source {address} destination {address} }}"
    links = f"""
      {scalars_of("Transfer")} transfereeAddresses {address} metadata {{ key value }}
      transfererCall {call} transfereeCall {call} heldCalls {call}
      groupcall {{ {scalars_of("Groupcall")} source {address} destinations {address} answerCall {call} calls {call} }}
      conference {{ {scalars_of("Conference")} calls {call} }}
      previousTransfer {{ {scalars_of("Transfer")} }}
      attempts {{ outcome address {address} call {call} }}
      events(first: 20) {{ nodes {{ id status actor {{ party }} }} pageInfo {{ hasNextPage }} }}"""
    return f"{{ transfers(first: {first}) {{ totalCount pageInfo {{ endCursor }} nodes {{ {links} }} }} }}"


def a_fan_out(doublings: int) -> str:
    each = "fragment F{0} on Transfer{{a:previousTransfer{{...F{1}}}b:previousTransfer{{...F{1}}}}}"
    doubled = "".join(each.format(i, i + 1) for i in range(doublings))
    return f"{{transfer(id:1){{...F0}}}}{doubled}fragment F{doublings} on Transfer{{id}}"


class TestWhatPasses:
    @pytest.mark.parametrize("first", [20, 50, 100])
    def test_a_page_of_transfers_with_all_their_links(self, first: int) -> None:
        assert errors_of(a_page_with_all_links(first)) == []

    @pytest.mark.parametrize("described", [True, False])
    def test_the_introspection_of_graphiql(self, described: bool) -> None:
        query = get_introspection_query(
            descriptions=described,
            specified_by_url=described,
            directive_is_repeatable=described,
            schema_description=described,
            input_value_deprecation=described,
        )
        assert errors_of(query) == []

    def test_introspection_where_documents_may_hardly_nest(self) -> None:
        assert errors_of(get_introspection_query(), Limits(max_depth=3)) == []

    def test_a_batch_of_aliased_reads(self) -> None:
        assert errors_of("{" + " ".join(f"t{i}: transfer(id: {i}) {{ id status }}" for i in range(100)) + "}") == []

    def test_a_page_put_together_of_the_fragments_of_its_parts(self) -> None:
        parts = "".join(f"fragment F{i} on Transfer {{ id status version }}" for i in range(24))
        assert errors_of("{ transfer(id: 1) { " + " ".join(f"...F{i}" for i in range(24)) + " } }" + parts) == []


class TestWhatIsRefused:
    def test_a_fan_out_of_fragments_by_its_depth(self) -> None:
        text = a_fan_out(18)
        assert 1_000 < len(text) < 1_500
        assert codes_of(text) == ["QUERY_TOO_DEEP"]

    def test_a_fan_out_of_fragments_by_its_cost(self) -> None:
        assert codes_of(a_fan_out(18), Limits(max_depth=100)) == ["QUERY_TOO_COMPLEX"]

    def test_a_cost_too_large_to_be_printed(self) -> None:
        assert "more than 10^12" in too_complex(2**20_000, 100).message

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("{" + " ".join(f"a{i}:__typename" for i in range(10_000)) + "}", "QUERY_TOO_LONG"),
            ("{" + " ".join(f"a{i}:__typename" for i in range(101)) + "}", "TOO_MANY_ALIASES"),
            ("{ viewer " + "@a" * 5_000 + " { subject } }", "QUERY_TOO_LONG"),
            ("{ viewer " + "@a" * 101 + " { subject } }", "TOO_MANY_DIRECTIVES"),
            ("{ ..." + "@include(if: true)" * 101 + " { __typename } }", "TOO_MANY_DIRECTIVES"),
            ("query ($a: Int " + "@a" * 101 + ") { __typename }", "TOO_MANY_DIRECTIVES"),
            ("{ " + "viewer { subject } " * 102 + "}", "TOO_MANY_REPEATS"),
            ("{ " + "... { viewer { subject } } " * 102 + "}", "TOO_MANY_REPEATS"),
            ("{ ...F " + "... { ...F }" * 30 + "} fragment F on Query { __typename }", "TOO_MANY_SPREADS"),
            ("#\n" * 5_000 + "{ __typename }", "QUERY_TOO_LONG"),
            ("{ transfer(id: 1)" + "{ previousTransfer " * 21 + "{ id }" + "}" * 22, "QUERY_TOO_DEEP"),
            ("{ transfer(id: 1)" + "{ previousTransfer " * 400 + "{ id }" + "}" * 401, "QUERY_TOO_DEEP"),
            ("{ " + "... { " * 30 + "__typename" + " }" * 31, "QUERY_TOO_DEEP"),
            ("{ " + "transfers(first:10){nodes{transfererCall{" * 5 + "id" + "}}}" * 5 + " }", "QUERY_TOO_COMPLEX"),
            ("{ calls(first:100){nodes{conference{calls{conference{calls{id}}}}}} }", "QUERY_TOO_COMPLEX"),
            ("{ transfers(first:100){nodes{heldCalls{transfer{heldCalls{id}}}}} }", "QUERY_TOO_COMPLEX"),
            (
                "{" + " ".join(f"a{i}:__schema{{types{{fields{{args{{type{{name}}}}}}}}}}" for i in range(60)) + "}",
                "QUERY_TOO_COMPLEX",
            ),
        ],
    )
    def test_one_error_says_which_limit(self, text: str, code: str) -> None:
        assert codes_of(text) == [code]

    @pytest.mark.parametrize(
        "text",
        [
            "{ " + "a:viewer{subject} " * 120 + "}",
            "{ " + "viewer{subject} " * 120 + "}",
            "{ " + "...F " * 31 + "} fragment F on Query{__typename}",
            "{ conference(id:1){calls{conference{calls{conference{calls{id}}}}}} }",
            "{ " + "...{" * 30 + "__typename" + "}" * 31,
            "{ viewer{subject} }" + " " * 40_000,
        ],
    )
    def test_the_message_says_how_much_and_how_much_is_allowed(self, text: str) -> None:
        found, allowed = re.findall(r"\d+", errors_of(text)[0].message)
        assert int(found) > int(allowed)

    def test_deep_introspection_by_the_rule_of_core(self) -> None:
        deep = "{ __schema{types{fields{type{fields{type{fields{type{name}}}}}}}} }"
        assert [it.message for it in errors_of(deep)] == ["Maximum introspection depth exceeded"]

    def test_the_second_operation_of_a_document_too(self) -> None:
        dear = (
            "query B { calls(first:100){nodes{transfers(first:100){nodes{transfers: events(first:100){nodes{id}}}}}} }"
        )
        assert codes_of("query A { viewer { subject } }" + dear) == ["QUERY_TOO_COMPLEX"]


class TestWhatIsNoneOfItsBusiness:
    """Other rules refuse these documents. Our rule must neither crash on them nor hide the error."""

    @pytest.mark.parametrize(
        "text",
        [
            "{ ...Nobody }",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
            "{ ...A } fragment A on Query { viewer { subject } ...A }",
            "{ ...A } fragment A on Nothing { id }",
            "{ ...A } fragment A on ID { id }",
            "{ ... on Nothing { id } }",
            "{ nothing { at { all } } }",
            "{ viewer }",
            "{ viewer { subject { deeper } } }",
            "{ __typename } { __typename }",
            "subscription { nothing }",
            "type Query { a: Int }",
            "fragment A on Query { __typename }",
            "{ transfers(first: ten) { nodes { id } } }",
            "{ transfers(first: $unknown) { nodes { id } } }",
            "{ transfers(first: " + "9" * 5_000 + ") { nodes { id } } }",
        ],
    )
    def test_a_wrong_document_gets_the_usual_error(self, text: str) -> None:
        errors = errors_of(text)
        assert errors
        assert not any(isinstance(it, LimitExceeded) for it in errors)

    def test_an_empty_selection_is_nothing_special(self) -> None:
        assert errors_of("{ viewer {} transfers { nodes {} } }") == []


class TestCost:
    @pytest.mark.parametrize(
        ("text", "cost"),
        [
            ("{ __typename }", 1),
            ("{ viewer { subject customerId } }", 1),
            ("{ transfer(id: 1) { id transfererCall { id } } }", 2),
            ("{ node(id: 1) { id ... on Transfer { conference { id } } ... on Call { transfer { id } } } }", 3),
            ("{ transfers { nodes { id } } }", 1 + 20),
            ("{ transfers(first: null) { nodes { id } } }", 1 + 20),
            ("{ transfers(first: 0) { nodes { id } } }", 1),
            ("{ transfers(last: 7) { totalCount nodes { id } pageInfo { endCursor } } }", 1 + 7 + 1),
            ("{ transfer(id: 1) { transfererCall { transfers { totalCount } } } }", 3),
            ("{ transfers(first: 5) { edges { node { id } } nodes { id } } }", 1 + 5 * 2 + 5),
            ("{ transfers(first: 5) { ...P } } fragment P on TransferConnection { nodes { id } }", 1 + 5),
            ("{ a: transfers(first: 5) { ...P } b: transfers(first: 50) { ...P } }"
             + "fragment P on TransferConnection { nodes { id } }", 2 + 55),
            ("{ transfers(first: 5) { nodes { events(first: 3) { nodes { id } } } } }", 1 + 5 * (1 + 1 + 3)),
            ("{ transfers(first: 100000) { nodes { id } } }", 1 + 100),
            ("{ transfers(first: -1) { nodes { id } } }", 1),
            ('{ nodes(ids: ["a", "b", "c"]) { id } }', 3),
            ('{ nodes(ids: "a") { id } }', 1),
            ("{ transfer(id: 1) { attempts { outcome } } }", 1 + 10),
            ("{ transfer(id: 1) { heldCallIds heldCalls { id } } }", 1 + 100),
            ("{ conference(id: 1) { calls { id source { target } } } }", 1 + 100 * 2),
            ("{ viewer { " + " ".join(f"a{i}: subject" for i in range(60)) + " } }", 2),
            ("{ transfer(id: 1) { note } }", 1 + 2),
            ("{ transfers(first: 10) { nodes { " + " ".join(f"a{i}: note" for i in range(99)) + " } } }", 1 + 10 * 199),
            ("{ transfer(id: 1) { metadata { a: value b: value } } }", 1 + 20 * 2),
            ("{ transfer(id: 1) { transfereeAddresses { " + scalars_of("Address") + " } } }", 1 + 10),
            ("{ transfer(id: 1) { transfereeAddresses { a: name b: name c: name d: name e: name } } }", 1 + 10 * 2),
            ("mutation { startTransfer(id: 1) { transfer { id } userErrors { message } } }", 10 + 1 + 1 + 10),
            ("mutation { a: startTransfer(id: 1) { __typename } b: startTransfer(id: 2) { __typename } }", 22),
            ("subscription { transferChanged(id: 1) { id transfer { id } } }", 10 + 2),
        ],
    )  # fmt: skip
    def test_of_a_document(self, text: str, cost: int) -> None:
        assert cost_of(text) == cost

    def test_follows_the_variables(self) -> None:
        text = "query ($n: Int = 7, $ids: [ID!]!) { transfers(first: $n) { nodes { id } } nodes(ids: $ids) { id } }"
        assert cost_of(text, n=50, ids=["a", "b"]) == 1 + 50 + 2
        assert cost_of(text, ids=[]) == 1 + 7
        assert cost_of(text, n=None, ids=[]) == 1 + 20
        assert cost_of(text, n="no number", ids={"no": "list"}) == 1 + 1 + 1

    def test_what_variables_decide_is_not_refused_before_they_are_known(self) -> None:
        text = "query ($a: Int, $b: Int) { calls(first: $a) { nodes { transfers(first: $b) { nodes { previousTransfer \
            { events(first: 100) { nodes { id } } } } } } } }"
        assert errors_of(text) == []
        assert cost_of(text, a=100, b=100) > LIMITS.max_cost

    def test_a_size_is_never_more_than_a_page(self) -> None:
        assert [value_size(it) for it in (None, 5, -5, 10**9, [1, 2], range(3))] == [None, 5, 0, 100, 2, 1]
        assert literal_size(None) is None

    def test_a_size_written_as_a_float_counts_as_the_integer_that_core_takes_it_for(self) -> None:
        text = "query ($n: Int) { transfers(first: $n) { nodes { id } } }"
        assert [cost_of(text, n=it) for it in (100.0, 1e2, 20.0, 1e300, -1.0, math.inf)] == [101, 101, 21, 101, 1, 101]

    def test_fragments_are_measured_once_however_often_they_are_used(self) -> None:
        assert cost_of(a_fan_out(45), Limits(max_depth=100)) == 2**46 - 1

    def test_of_a_result_is_what_was_found(self) -> None:
        page = {"transfers": {"nodes": [{"id": 1, "call": {"id": 2}}, {"id": 3, "call": None}], "totalCount": 2}}
        assert counted_cost(page, OperationType.QUERY) == 4
        assert (
            counted_cost({"a": {"transfer": {"id": 1}, "ids": [1, 2, 3]}, "b": None}, OperationType.MUTATION)
            == 2 * 10 + 2
        )
        assert counted_cost(None, OperationType.QUERY) == 1

    def test_of_a_result_with_long_texts_is_as_it_was_asked_for(self) -> None:
        text = "{ transfer(id: 1) { " + " ".join(f"a{i}: note" for i in range(10)) + " } }"
        notes = {f"a{number}": "x" * 2_000 for number in range(10)}
        assert counted_cost({"transfer": notes}, OperationType.QUERY) == cost_of(text) == 21
        assert counted_cost({"transfer": notes | {"a1": "short"}}, OperationType.QUERY) == 19


class TestInputs:
    def cost(self, text: str, **values: object) -> int:
        document = parse(text)
        operation = operations(document)[0]
        return input_cost(inputs_of(document, operation), operation, values)

    @pytest.mark.parametrize(
        ("text", "cost"),
        [
            ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", 1_000 - 20),
            ("query ($ids: [ID!]!) { a: nodes(ids: $ids) { id } b: nodes(ids: $ids) { id } }", 2_000 - 20),
            ("query ($ids: [ID!]!) { ...F } fragment F on Query { nodes(ids: $ids) { id } }", 1_000 - 20),
            ("query ($ids: [ID!]!) { a(filter: { ids: [$ids, $ids] }) }", 3 + 2_000 - 20),
            ("query A { viewer { subject } } query B($ids: [ID!]!) { nodes(ids: $ids) { id } }", 0),
            ("{ nodes(ids: [" + "1 " * 100 + "]) { id } }", 100 - 20),
            (
                "query ($id: ID = [" + "1 " * 100 + "]) { a: nodes(ids: $id) { id } b: nodes(ids: $id) { id } }",
                200 - 20,
            ),
        ],
    )
    def test_cost_as_often_as_they_are_handed_to_a_field(self, text: str, cost: int) -> None:
        assert self.cost(text, ids=[str(number) for number in range(1_000)]) == cost

    def test_objects_cost_their_fields(self) -> None:
        text = "mutation ($input: Input!) { startTransfer(input: $input) { __typename } }"
        address = {"type": "TEL", "target": "+15550000101"}
        assert self.cost(text, input={"type": "BLIND", "addresses": [address] * 3}) == 0
        assert self.cost(text, input={"type": "BLIND", "addresses": [address] * 2_800}) == 2 + 3 * 2_800 - 20


class TestLimits:
    def test_a_capacity_that_the_dearest_operation_does_not_fit_is_refused(self) -> None:
        with pytest.raises(ValueError, match="never fits"):
            Limits(max_cost=100, budget=99)

    def test_a_budget_is_restored(self) -> None:
        with pytest.raises(ValueError, match="does not come back"):
            Limits(budget_rate=0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ANN, BOB = ("customer", "ann"), ("customer", "bob")


class TestBudget:
    def test_grants_until_it_is_empty_then_says_how_long_to_wait(self) -> None:
        budget = Budget(100, 10.0, Clock())
        assert [budget.take(ANN, 60) for _ in range(2)] == [0.0, 2.0]
        assert budget.remaining(ANN) == 40

    def test_is_granted_after_that_time(self) -> None:
        clock = Clock()
        budget = Budget(100, 10.0, clock)
        budget.take(ANN, 100)
        clock.now += budget.take(ANN, 30)
        assert budget.take(ANN, 30) == 0.0

    def test_is_of_one_principal(self) -> None:
        budget = Budget(100, 10.0, Clock())
        budget.take(ANN, 100)
        assert budget.take(BOB, 100) == 0.0

    def test_gives_back_but_no_more_than_it_holds(self) -> None:
        budget = Budget(100, 10.0, Clock())
        budget.take(ANN, 80)
        budget.settle(ANN, 70)
        assert budget.remaining(ANN) == 90
        budget.settle(ANN, 1_000)
        assert budget.remaining(ANN) == 100

    def test_a_debt_is_waited_for(self) -> None:
        clock = Clock()
        budget = Budget(100, 10.0, clock)
        budget.settle(ANN, -150)
        assert (budget.remaining(ANN), budget.take(ANN, 1), budget.full_in(ANN)) == (0, 5.1, 15.0)
        clock.now = 15.0
        assert budget.remaining(ANN) == 100

    async def test_those_who_wait_to_pay_wake_one_after_the_other(self) -> None:
        clock, slept = Clock(), list[float]()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await asyncio.sleep(0)  # let the others ask
            clock.now += seconds

        budget = Budget(100, 10.0, clock)
        budget.take(ANN, 100)
        await asyncio.gather(*(budget.pay(ANN, 50, sleep) for _ in range(20)))
        assert slept == [5.0] * 20

    async def test_what_is_dear_is_paid_though_others_take_their_part(self) -> None:
        clock = Clock()
        budget = Budget(100, 10.0, clock)

        async def sleep(seconds: float) -> None:
            clock.now += 10.0
            budget.take(ANN, 90)

        await budget.pay(ANN, 400, sleep)
        assert clock.now == 300.0

    def test_forgets_the_idle(self) -> None:
        clock = Clock()
        budget = Budget(100, 10.0, clock)
        for second in range(10_000):
            clock.now = float(second)
            budget.take(("customer", str(second)), 100)
        assert len(budget) <= 1_000

    def test_remembers_those_in_need(self) -> None:
        clock = Clock()
        budget = Budget(10**6, 1.0, clock)
        budget.take(ANN, 10**6)
        for number in range(5_000):
            clock.now += 1
            budget.take(("other", str(number)), 0)
        assert budget.remaining(ANN) == 5_000

    def test_by_default_a_second_restores_a_thousand_reads_and_a_hundred_starts(self) -> None:
        call: dict[str, object] = {"source": {}, "destination": {}}
        found = {"calls": [call] * 4, "attempts": [{"address": {}}] * 2, "conference": {}, "addresses": [{}]}
        read = counted_cost({"transfer": found}, OperationType.QUERY)
        start = counted_cost({"startTransfer": {"transfer": found}}, OperationType.MUTATION)
        assert 1_000 * read + 100 * start <= LIMITS.budget_rate

    def test_by_default_a_hundred_reads_with_all_links_are_granted_at_once(self) -> None:
        assert 100 * cost_of(a_page_with_all_links(1)) <= LIMITS.budget


TEXTS = [
    get_introspection_query(),
    sdl(),
    "{ a }",
    "",
    '{a(b:"x y # z" c:-1.5e+3 d:"\\"" e:"") ...F @g(h:$i) # comment, "one"\n}fragment F on Q{a,b:c,d}',
    '{a(b:"""block " of \\""" words\n# and lines""" c:[1,2 3])}#last',
    "\ufeff{a}",
]


class TestTokens:
    @pytest.mark.parametrize("text", TEXTS)
    def test_as_many_as_the_lexer_has(self, text: str) -> None:
        assert count_tokens(text, 10**6) == lexed(text)

    def test_no_more_are_counted_than_matter(self) -> None:
        assert count_tokens("a " * 10_000, 1_500) == 1_501

    @pytest.mark.parametrize("text", ['"' * 32_000, '"""' * 9_999, '\\"""' * 8_000, '"\\' * 16_000, '"""a"" ' * 4_000])
    def test_whatever_it_is_it_is_counted_at_once(self, text: str) -> None:
        began = time.process_time()
        count_tokens(text, 1_500)
        assert time.process_time() - began < 0.5


def lexed(text: str) -> int:
    """Return the number of tokens, including comments."""
    lexer = Lexer(Source(text))
    while lexer.advance().kind is not TokenKind.EOF:
        pass
    token, count = lexer.token.prev, 0
    while token and token.kind is not TokenKind.SOF:
        token, count = token.prev, count + 1
    return count
