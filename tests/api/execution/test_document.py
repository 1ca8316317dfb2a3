"""Documents are parsed, validated and measured once, and their readers pay for what is new."""

import pytest
import strawberry
from graphql import GraphQLError, OperationDefinitionNode

from app.api.execution.document import Document, Documents, Operation
from app.api.fields import resolved
from app.api.metering.budget import Budget
from app.api.metering.limits import LimitExceeded, Limits
from app.api.metering.price import ListSize
from app.api.schema import Schema

ANN = ("customer", "ann")
LIMITS = Limits()


@strawberry.type
class Query:
    @strawberry.field
    def a(self) -> str:
        return "a"

    @resolved("Some of them.", {"list_size": ListSize(slicing_arguments=("first",))})
    def transfers(self, first: int | None = None) -> list["Query"]:
        return []


SCHEMA = Schema(Query)


def documents(budget: Budget | None = None, room: int = 500_000) -> Documents:
    return Documents(SCHEMA, LIMITS, Budget(1_000, 1.0) if budget is None else budget, room)


def read(text: str) -> Document:
    return documents().read(text, None)


def test_the_same_text_is_read_once() -> None:
    known = documents()
    assert known.read("{ a }", ANN) is known.read("{ a }", ANN)


def test_the_documents_used_last_are_kept_as_far_as_they_fit() -> None:
    known = documents(room=20)
    first, second = [known.read(text, ANN) for text in ("{ a a a }", "{ b: a }")]
    assert known.read("{ a a a }", ANN) is first
    known.read("{ c: a }", ANN)
    assert len(known) == 2
    assert known.read("{ a a a }", ANN) is first
    assert known.read("{ b: a }", ANN) is not second


def test_a_document_that_is_not_valid_is_read_anew_each_time() -> None:
    known = documents()
    wrong = known.read("{ nothing }", None)
    assert [error.message for error in wrong.errors] == ["Cannot query field 'nothing' on type 'Query'."]
    assert known.read("{ nothing }", None) is not wrong
    assert len(known) == 0


def test_a_new_document_is_paid_for_though_it_is_wrong() -> None:
    budget = Budget(60, 0.001)
    known, text, left = documents(budget), "{ a " + " " * 96, list[int]()
    for _ in range(2):
        with pytest.raises(GraphQLError, match="Syntax Error"):
            known.read(text, ANN)
        left.append(budget.remaining(ANN))
    assert left == [35, 10]
    with pytest.raises(GraphQLError, match="try again"):
        known.read(text, ANN)


def test_a_known_document_is_free_and_so_is_one_of_the_operator() -> None:
    budget = Budget(60, 1.0)
    known, text = documents(budget), "{ a }" + " " * 95
    held = known.read(text, None)
    assert known.read(text, ANN) is held
    assert budget.remaining(ANN) == 60


def test_a_text_that_is_too_long_is_not_read_and_not_paid_for() -> None:
    budget = Budget(60, 1.0)
    with pytest.raises(LimitExceeded):
        documents(budget).read("{ a }" + " " * 40_000, ANN)
    assert budget.remaining(ANN) == 60


def test_the_cost_follows_the_variables() -> None:
    operation = read("query ($n: Int) { transfers(first: $n) { a } }").operation(None)
    assert [operation.cost({"n": n % 101}) for n in range(1_000)] == [max(1, n % 101) for n in range(1_000)]


def test_an_operation_is_found_by_its_name() -> None:
    document = read("query A { a } query B { b: a }")
    assert [document.operation(name).name for name in ("B", "A")] == ["B", "A"]
    for name in ("C", None):
        with pytest.raises(GraphQLError) as unresolved:
            document.operation(name)
        assert unresolved.value.extensions == {"code": "OPERATION_RESOLUTION_FAILURE"}


def test_a_long_name_is_cut_where_it_is_logged() -> None:
    operation = read(f"query {'n' * 100} {{ a }}").operation(None)
    assert isinstance(operation, Operation)
    assert isinstance(operation.node, OperationDefinitionNode)
    assert str(operation) == f"query {'n' * 64}"
