"""Operations of a real schema pass the guard, or are refused before anything has run."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError, get_introspection_query
from strawberry.schema.config import StrawberryConfig

from app.api.execution.executor import Executor, Result
from app.api.fields import resolved, subscribed
from app.api.metering.budget import Budget, Charge
from app.api.metering.limits import Limits
from app.api.metering.price import PAGED, list_of
from app.api.schema import Schema
from app.domain.viewer import Viewer
from tests import executing

ran: list[str] = []


@strawberry.type
class PageInfo:
    end_cursor: str | None = None


@strawberry.type
class Call:
    id: strawberry.ID

    @resolved("Some of them.", PAGED)
    async def calls(self, first: int | None = None) -> "CallConnection | None":
        return page(first)


@strawberry.type
class CallConnection:
    nodes: list[Call]
    page_info: PageInfo

    @strawberry.field
    async def total_count(self, info: strawberry.Info) -> int:
        async def count() -> int:
            ran.append("count")
            return 7_000

        length: int = await info.context.charge.count(count, int)
        return length


def page(first: int | None) -> CallConnection:
    # There are fewer calls than a page may have.
    found = [Call(id=strawberry.ID(str(number))) for number in range(min(3, 20 if first is None else first))]
    return CallConnection(nodes=found, page_info=PageInfo())


@strawberry.type
class Query:
    @strawberry.field
    async def hello(self) -> str:
        ran.append("hello")
        return "hello"

    @strawberry.field
    async def broken(self) -> str | None:
        raise RuntimeError("broken")

    @resolved("Some of them.", PAGED)
    async def calls(self, first: int | None = None) -> CallConnection | None:
        ran.append("calls")
        return page(first)

    @strawberry.field
    async def named(self, ids: list[strawberry.ID]) -> int:
        return len(ids)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def start(self) -> Call | None:
        ran.append("start")
        return Call(id=strawberry.ID("1"))


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        ran.append("ticks")
        for number in range(3):
            yield number

    @subscribed("Some of them.", list_of(10))
    async def changes(self) -> AsyncIterator[list[Call]]:
        for size in (25, 50, 40, 1):
            ran.append(f"{size} calls")
            yield [Call(id=strawberry.ID(str(number))) for number in range(size)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Context:
    viewer: Viewer | None
    charge: Charge | None = None


def viewer(subject: str) -> Viewer:
    return Viewer("customer", subject, frozenset(), datetime.now(UTC) + timedelta(hours=1))


@dataclass
class Server:
    limits: Limits = field(default_factory=Limits)
    suggestions: bool = False

    def __post_init__(self) -> None:
        ran.clear()
        self.clock = Clock()
        self.budget = Budget(self.limits.budget, self.limits.budget_rate, self.clock)
        config = StrawberryConfig(disable_field_suggestions=not self.suggestions)
        schema = Schema(Query, Mutation, Subscription, config=config)
        self.executor = Executor(schema, self.limits, self.budget, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        ran.append(f"{seconds} s")
        self.clock.now += seconds

    async def ask(self, query: str, subject: str | None = "ann", name: str | None = None, **variables: Any) -> Result:
        context = Context(viewer(subject) if subject else None)
        return await executing.ask(self.executor, query, context, name, **variables)

    async def stream(self, query: str, subject: str = "ann") -> list[Result]:
        return [it async for it in executing.stream(self.executor, query, Context(viewer(subject)))]


def poor(capacity: int = 100, restore_rate: float = 10.0) -> Server:
    """Return a server with a small budget, on which parsing a document costs nothing."""
    return Server(Limits(max_cost=capacity, budget=capacity, budget_rate=restore_rate, reading=0))


def error_of(result: Result) -> GraphQLError:
    assert result.errors
    assert result.data is None
    return result.errors[0]


def code_of(result: Result) -> str:
    extensions = error_of(result).extensions
    assert extensions
    return str(extensions["code"])


def cost_of(result: Result) -> dict[str, Any]:
    assert result.extensions
    cost: dict[str, Any] = result.extensions["cost"]
    return cost


class TestTheCostThatIsReported:
    async def test_is_what_was_asked_for_and_what_was_found(self) -> None:
        result = await poor().ask("{ calls(first: 50) { nodes { id } pageInfo { endCursor } } }")
        assert result.errors == []
        assert {it: cost_of(result)[it] for it in ("requested", "actual", "remaining")} == {
            "requested": 52,
            "actual": 5,
            "remaining": 95,
        }

    async def test_follows_the_variables(self) -> None:
        server, query = poor(), "query ($n: Int = 7) { calls(first: $n) { nodes { id } } }"
        results = [await server.ask(query, n=2), await server.ask(query, n=30), await server.ask(query)]
        assert [cost_of(it)["requested"] for it in results] == [3, 31, 8]

    async def test_says_when_the_budget_is_full_again(self) -> None:
        before = datetime.now(UTC)
        result = await poor(capacity=100, restore_rate=0.01).ask("{ calls { nodes { id } } }")
        full = datetime.strptime(cost_of(result)["resetAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        assert timedelta(seconds=399) < full - before < timedelta(seconds=500)

    async def test_of_a_failed_field_is_what_was_found(self) -> None:
        result = await poor().ask("{ broken calls { nodes { id } } }")
        assert result.errors
        assert cost_of(result)["actual"] == 4

    async def test_of_a_mutation(self) -> None:
        result = await poor().ask("mutation { start { id } }")
        assert (cost_of(result)["requested"], cost_of(result)["actual"]) == (11, 11)

    async def test_can_be_left_out(self) -> None:
        result = await Server(Limits(report_cost=False)).ask("{ hello }")
        assert result.data == {"hello": "hello"}
        assert not result.extensions

    async def test_is_of_no_invalid_document(self) -> None:
        result = await poor().ask("{ nothing }")
        assert result.errors
        assert not result.extensions


class TestThrottling:
    async def test_refuses_before_anything_runs(self) -> None:
        server = poor(capacity=100, restore_rate=10.0)
        server.budget.take(("customer", "ann"), 90)
        ran.clear()
        result = await server.ask("{ calls(first: 50) { nodes { id } } }")
        assert (code_of(result), ran) == ("THROTTLED", [])

    async def test_says_how_long_to_wait_and_means_it(self) -> None:
        server = poor(capacity=100, restore_rate=10.0)
        server.budget.take(("customer", "ann"), 90)
        query = "{ calls(first: 49) { nodes { id } } }"
        refused = error_of(await server.ask(query)).extensions
        assert refused
        assert refused["retryAfter"] == pytest.approx(4.0)
        assert {it: refused["cost"][it] for it in ("requested", "actual", "remaining")} == {
            "requested": 50,
            "actual": 0,
            "remaining": 10,
        }
        server.clock.now += refused["retryAfter"]
        assert (await server.ask(query)).errors == []

    async def test_mutations(self) -> None:
        server = poor(capacity=11, restore_rate=1.0)
        results = [await server.ask("mutation { start { id } }") for _ in range(2)]
        assert results[0].errors == []
        assert (code_of(results[1]), ran) == ("THROTTLED", ["start"])

    async def test_does_not_touch_the_others(self) -> None:
        server = poor()
        server.budget.take(("customer", "ann"), 100)
        assert (await server.ask("{ hello }", subject="bob")).errors == []
        assert (await server.ask("{ hello }", subject=None)).errors == []
        assert code_of(await server.ask("{ hello }")) == "THROTTLED"

    async def test_gives_back_what_was_not_found(self) -> None:
        server = poor(capacity=100, restore_rate=1.0)
        results = [await server.ask("{ calls(first: 50) { nodes { id } } }") for _ in range(10)]
        assert not any(it.errors for it in results)


class TestSubscriptions:
    async def test_pay_for_their_start_alone(self) -> None:
        server = poor(capacity=100, restore_rate=1.0)
        results = await server.stream("subscription { ticks }")
        assert [it.data for it in results] == [{"ticks": 0}, {"ticks": 1}, {"ticks": 2}]
        assert not any(it.extensions for it in results)
        assert server.budget.remaining(("customer", "ann")) == 90

    async def test_pay_for_what_an_event_costs_beyond_the_usual(self) -> None:
        server = poor(capacity=100, restore_rate=1.0)
        results = await server.stream("subscription { changes { id } }")
        assert [len(it.data["changes"]) for it in results if it.data] == [25, 50, 40, 1]
        assert server.budget.remaining(("customer", "ann")) == 100 - 20 - 25 - 15

    async def test_wait_with_the_next_event_until_they_can_pay_for_the_last(self) -> None:
        server = poor(capacity=40, restore_rate=0.5)
        results = await server.stream("subscription { changes { id } }")
        assert len(results) == 4
        # The start leaves 20 of the 40 points.
        assert ran == ["25 calls", "50 calls", "10.0 s", "40 calls", "30.0 s", "1 calls"]

    async def test_do_not_wait_behind_those_that_pay_when_their_events_are_free(self) -> None:
        server, paid = poor(capacity=100, restore_rate=1.0), asyncio.Event()

        async def sleep(seconds: float) -> None:
            await paid.wait()
            server.clock.now += seconds

        paying = asyncio.create_task(server.budget.pay(("customer", "ann"), 200, sleep))
        await asyncio.sleep(0)
        server.clock.now += 20  # restores what the start costs
        async with asyncio.timeout(5):
            assert len(await server.stream("subscription { ticks }")) == 3
        paid.set()
        await paying

    async def test_are_refused_at_their_start(self) -> None:
        server = poor(capacity=19, restore_rate=1.0)
        await server.stream("subscription { ticks }")
        ran.clear()
        (result,) = await server.stream("subscription { ticks }")
        assert (code_of(result), ran) == ("THROTTLED", [])

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("subscription { ticks" + " " * 40_000 + "}", "QUERY_TOO_LONG"),
            ("subscription { " + " ".join(f"a{i}: __typename" for i in range(101)) + "}", "TOO_MANY_ALIASES"),
        ],
    )
    async def test_are_refused_by_the_limits_with_an_error_and_not_an_exception(self, text: str, code: str) -> None:
        (result,) = await Server().stream(text)
        assert code_of(result) == code

    async def test_with_a_syntax_error_get_an_error_and_not_an_exception(self) -> None:
        (result,) = await Server().stream("subscription { ")
        assert "Syntax Error" in error_of(result).message


class TestLimitsOfAnOperation:
    async def test_the_variables_can_make_it_too_complex(self) -> None:
        inner = "calls(first: $b) { nodes { calls { nodes { id } } } }"
        query = f"query ($a: Int, $b: Int) {{ calls(first: $a) {{ nodes {{ {inner} }} }} }}"
        server = Server()
        assert code_of(await server.ask(query, a=100, b=100)) == "QUERY_TOO_COMPLEX"
        assert ran == []
        assert (await server.ask(query, a=100, b=10)).errors == []

    async def test_a_document_is_paid_for_when_it_is_new(self) -> None:
        server = Server(Limits(max_cost=50, budget=100, budget_rate=1, reading=0.5))
        left = []
        for query in ("{ hello }", "{ hello }", "{nothing}", "{nothing}"):
            await server.ask(query)
            left.append(server.budget.remaining(("customer", "ann")))
        assert left == [95, 94, 90, 86]  # an invalid document is not cached, so it is paid for each time

    async def test_a_document_that_is_new_must_wait_for_it(self) -> None:
        server = Server(Limits(max_cost=50, budget=50, budget_rate=1, reading=0.5))
        (first, second) = [await server.ask("{ nothing" + " " * 60 + "}") for _ in range(2)]
        assert "nothing" in error_of(first).message
        assert code_of(second) == "THROTTLED"

    async def test_what_was_counted_is_paid_for(self) -> None:
        server = Server(Limits(reading=0))
        result = await server.ask("{ calls(first: 1) { totalCount } }")
        assert (cost_of(result)["requested"], cost_of(result)["actual"]) == (1, 1 + 7_000 // 70)
        assert server.budget.remaining(("customer", "ann")) == Limits().budget - 101

    async def test_twenty_counts_in_a_document_wait_for_each_other_once_the_budget_is_spent(self) -> None:
        server = poor(capacity=270, restore_rate=1.0)
        counts = " ".join(f"c{number}: calls(first: 0) {{ totalCount }}" for number in range(20))
        assert (await server.ask(f"{{ {counts} }}")).errors == []
        # 20 of the 270 points are reserved for the objects. A count costs 100, after a deposit of 5.
        paid = [it for it in ran if it != "calls"]
        assert paid == ["count", "count", "count", "55.0 s", "count"] + ["100.0 s", "count"] * 16

    async def test_a_client_that_leaves_while_a_list_is_counted_loses_a_deposit(self) -> None:
        budget, counting = Budget(1_000, 1.0, Clock()), asyncio.Event()
        charge = Charge(budget, ("customer", "ann"), 0)

        async def count() -> int:
            counting.set()
            await asyncio.Event().wait()
            return 0

        asked = asyncio.create_task(charge.count(count, int))
        await counting.wait()
        asked.cancel()
        await asyncio.wait([asked])
        assert budget.remaining(("customer", "ann")) == 1_000 - 20

    async def test_what_is_handed_in_is_paid_for_and_not_given_back(self) -> None:
        query = "query ($ids: [ID!]!) { a: named(ids: $ids) b: named(ids: $ids) }"
        result = await Server().ask(query, ids=[str(number) for number in range(100)])
        assert (cost_of(result)["requested"], cost_of(result)["actual"]) == (1 + 180, 1 + 180)

    async def test_the_operation_that_runs_is_the_one_that_is_measured(self) -> None:
        server, query = poor(), "query A { hello } query B { calls(first: 50) { nodes { id } } }"
        result = await server.ask(query, name="B")
        assert cost_of(result)["requested"] == 51

    async def test_introspection_passes(self) -> None:
        assert (await Server(suggestions=True).ask(get_introspection_query())).errors == []


class TestWrongDocuments:
    query = "{" + " ".join(f"...on Cal{number} {{ id }}" for number in range(100)) + "}"

    async def test_are_told_their_first_errors(self) -> None:
        errors = (await Server().ask(self.query)).errors
        first, *_, last = [error.message for error in errors]
        assert (first, len(errors)) == ("Unknown type 'Cal0'.", 6)
        assert last.startswith("Too many validation errors")

    @pytest.mark.parametrize(("suggestions", "points"), [(False, 0), (True, 6 * 300)])
    async def test_pay_for_the_search_for_what_was_meant(self, suggestions: bool, points: int) -> None:
        server = Server(Limits(reading=0), suggestions=suggestions)
        message = error_of(await server.ask(self.query)).message
        assert ("Did you mean" in message) is suggestions
        assert server.budget.remaining(("customer", "ann")) == Limits().budget - points


class TestDocumentsInUse:
    async def test_an_invalid_document_stays_invalid(self) -> None:
        server = Server()
        messages = [error_of(await server.ask("{ nothing }")).message for _ in range(2)]
        assert messages == ["Cannot query field 'nothing' on type 'Query'."] * 2

    async def test_a_schema_that_suggests_no_names_is_not_introspected_either(self) -> None:
        answer = await Server().ask("{ __schema { types { name } } }")
        assert error_of(answer).message.startswith("GraphQL introspection")
