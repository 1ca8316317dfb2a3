"""Refuses what asks for too much, before it runs: limits as a validation rule, and a budget a principal."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValidationRule,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext, StreamExecutionResult
from strawberry.types import ExecutionResult as StrawberryResult

from app.api.execution.document import Plan, Plans
from app.api.metering.charge import Charge, principal_of
from app.api.metering.cost import EVENT, Meter, counted_cost, operations
from app.api.metering.limits import Budget, LimitExceeded, Limits, Principal, Sleep, too_complex, too_many

MOST_ERRORS = 5
SUGGESTIONS = 300  # points for an error: to say what was meant, core compares a name with all that the schema has

OF_STRAWBERRY = (MaybeNullValidationRule, OneOfInputValidationRule)


class Marks(NamedTuple):
    """How often the text does what makes validation slow."""

    aliases: int
    directives: int
    repeats: int  # fields asked for again in one selection: core compares each with each
    spreads: int  # fragments in one selection, at most: core compares the fields of each with those of each


def count_marks(document: DocumentNode) -> Marks:
    aliases = directives = repeats = spreads = 0
    todo: list[tuple[Any, Counter[str]]] = [(it, Counter()) for it in document.definitions]
    while todo:
        node, names = todo.pop()
        directives += len(getattr(node, "directives", None) or ())
        if isinstance(node, FieldNode):
            aliases += node.alias is not None
            name = (node.alias or node.name).value
            repeats += name in names
            names[name] += 1
            names = Counter()
        elif isinstance(node, FragmentSpreadNode):
            names["..."] += 1
            spreads = max(spreads, names["..."])
        todo += [(it, names) for it in getattr(node, "variable_definitions", None) or ()]
        inner = getattr(node, "selection_set", None)
        todo += [(it, names) for it in inner.selections] if inner else ()
    return Marks(aliases, directives, repeats, spreads)


def check_marks(marks: Marks, limits: Limits) -> None:
    most = Marks(limits.max_aliases, limits.max_directives, limits.max_repeats, limits.max_spreads)
    for what, count, limit in zip(Marks._fields, marks, most, strict=True):
        if count > limit:
            raise too_many(what, count, limit)


def check_document(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
    """Raises LimitExceeded for what no variables can make small."""
    check_marks(count_marks(document), limits)
    meter = Meter(schema, document, limits)
    for operation in operations(document):
        check_cost(meter.cost(operation), limits)


def check_cost(cost: int, limits: Limits) -> None:
    if cost > limits.max_cost:
        raise too_complex(cost, limits.max_cost)


def limits_rule(limits: Limits) -> type[ValidationRule]:
    """The limits as one rule. Make it once: a cache of validation takes the class for a key."""

    class LimitsRule(ValidationRule):
        # On the document, so before the rules that visit every node: they are not made for what is refused here.
        def enter_document(self, node: DocumentNode, *_: object) -> None:
            check_document(self.context.schema, node, limits)

    return LimitsRule


def errors_in(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Iterable[type[ASTValidationRule]],
    *,
    hide_suggestions: bool = False,
) -> list[GraphQLError]:
    """The first of them, by these rules and by Strawberry's own."""
    return validate(schema, document, (*rules, *OF_STRAWBERRY), MOST_ERRORS, hide_suggestions=hide_suggestions)


class GuardExtension(SchemaExtension):
    """Parses and validates by the plans, and charges what is valid. Of one operation."""

    def __init__(self, limits: Limits, budget: Budget, plans: Plans, rule: type[ValidationRule], sleep: Sleep) -> None:
        super().__init__()
        self._limits = limits
        self._budget = budget
        self._plans = plans
        self._rule = rule
        self._sleep = sleep
        self._plan: Plan | None = None
        self._charge: Charge | None = None
        self._streams = False

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.graphql_document is None and context.query:
            try:
                self._plan = self._plans.plan(context.query, self._principal)
                context.graphql_document = self._plan.document
            except GraphQLError as error:
                refuse(context, error)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.pre_execution_errors is None and context.graphql_document is not None:
            plan = self._plan or Plan(context.graphql_document)
            context.pre_execution_errors = self._errors(plan) or self._charged(plan)
        yield

    def on_execute(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        # A subscription has none yet; its start is paid as asked.
        if self._charge and isinstance(result, ExecutionResult):
            self._charge.settle(self._inputs + counted_cost(result.data, self._kind))

    async def on_stream_result(self, result: StreamExecutionResult) -> AsyncIterator[None]:
        yield
        # Between this event and the next: one that is dear delays those after it, and none is lost.
        if self._streams and isinstance(result, StrawberryResult):
            points = min(counted_cost(result.data, self._kind) - EVENT, self._limits.max_cost)
            if points > 0:  # else it does not wait for those that pay
                await self._budget.pay(self._principal, points, self._sleep)

    def get_results(self) -> dict[str, Any]:
        reported = self._charge if self._limits.report_cost and not self._streams else None
        return {"cost": reported.report()} if reported else {}

    @property
    def _principal(self) -> Principal:
        return principal_of(getattr(self.execution_context.context, "viewer", None))

    def _errors(self, plan: Plan) -> list[GraphQLError]:
        context = self.execution_context
        rules = (self._rule, *context.validation_rules)
        if plan.rules != rules:
            hidden = context.schema.config.disable_field_suggestions
            errors = errors_in(context.schema._schema, plan.document, rules, hide_suggestions=hidden)
            self._budget.settle(self._principal, 0 if hidden else -SUGGESTIONS * len(errors))
            plan.rules, plan.errors = rules, errors
            if not errors and self._plan and context.query:
                self._plans.keep(context.query, plan)
        return plan.errors

    def _charged(self, plan: Plan) -> list[GraphQLError]:
        context = self.execution_context
        operation = plan.operation(context.operation_name)
        self._kind = operation.operation
        self._streams = self._kind is OperationType.SUBSCRIPTION
        values = context.variables or {}
        self._inputs = plan.input_cost(operation, values)
        cost = self._inputs + plan.cost(context.schema._schema, operation, values, self._limits)
        try:
            check_cost(cost, self._limits)
        except LimitExceeded as error:
            return [error]
        self._charge = Charge(self._budget, self._principal, cost, self._sleep)
        if context.context is not None:
            context.context.charge = self._charge
        return [self._charge.refusal()] if self._charge.wait else []


def refuse(context: ExecutionContext, error: GraphQLError) -> None:
    """Answer with this error before anything runs. An error raised in the hook would end a whole stream.

    Strawberry goes on with an empty operation until it looks for errors, so that is what it finds.
    """
    kind = next(iter(context.allowed_operations)).value
    name = NameNode(value=context.operation_name) if context.operation_name else None
    empty = SelectionSetNode(selections=())
    operation = OperationDefinitionNode(operation=OperationType(kind), name=name, selection_set=empty)
    context.graphql_document = DocumentNode(definitions=(operation,))
    context.pre_execution_errors = [error]


def guard_extension(
    limits: Limits, budget: Budget, plans: Plans | None = None, sleep: Sleep = asyncio.sleep
) -> Callable[[], SchemaExtension]:
    """For `Schema(extensions=[…])`; without ParserCache, ValidationCache and other limiters, whose work it does."""
    known, rule = Plans(limits, budget) if plans is None else plans, limits_rule(limits)
    return lambda: GuardExtension(limits, budget, known, rule, sleep)
