"""Runs the operations of checked documents. Every transport comes in here, and only here is anything executed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphql import ExecutionResult, GraphQLError, MiddlewareManager, execute, subscribe
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.utils.await_maybe import await_maybe

from app.api.execution.document import Documents, Operation
from app.api.metering.budget import Budget, Charge, Sleep, principal_of
from app.api.metering.cost import EVENT, counted_cost
from app.api.metering.guard import check_cost
from app.api.metering.limits import LimitExceeded, Limits
from app.api.schema import Schema
from app.domain.viewer import Viewer

Json = Mapping[str, Any]


class Trace(Protocol):
    """Follows one operation. It neither fails nor waits."""

    def end_event(self) -> None:
        """Called when an event of a subscription has its result."""

    def resolve(self, next_: Any, root: Any, info: Any, *args: Any, **more: Any) -> Any:
        """Called in place of each resolver. It calls `next_`, which is the resolver."""


class Context(Protocol):
    """What the executor needs of the context that it hands to the resolvers."""

    charge: Charge | None

    @property
    def viewer(self) -> Viewer | None: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What a query, a mutation or one event of a subscription returns."""

    data: dict[str, Any] | None = None
    errors: list[GraphQLError] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    is_refused: bool = False
    """Whether nothing has run: the document is not valid, or the budget does not allow it."""

    @property
    def has_data(self) -> bool:
        """Whether the response shows `data`. It may be null if errors in fields, which have a path, made it null."""
        return not self.is_refused and (self.data is not None or any(error.path for error in self.errors))


class Executor:
    """Charges an operation, runs it on graphql-core, and gives back what the result did not cost.

    graphql-core is called directly: Strawberry's `execute` would parse and validate the text again, and run a chain of
    extensions for each request.
    """

    def __init__(
        self,
        schema: Schema,
        limits: Limits,
        budget: Budget,
        trace: Callable[[], Trace] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.documents = Documents(schema, limits, budget)
        self._schema = schema
        self._limits = limits
        self._budget = budget
        self._trace = trace
        self._sleep = sleep

    async def run(
        self, operation: Operation, context: Context, variables: Json, extensions: Json | None = None
    ) -> Result:
        """Run a query or a mutation."""
        trace = self._trace() if self._trace else None
        charge = self._admit(operation, context, variables)
        if isinstance(charge, Result):
            return charge
        arguments = self._arguments(operation, context, variables, extensions, trace)
        result: ExecutionResult = await await_maybe(execute(**arguments))
        charge.settle(charge.inputs + counted_cost(result.data, operation.type))
        return Result(result.data, self._shown(result.errors), self._report(charge))

    async def subscribe(
        self, operation: Operation, context: Context, variables: Json, extensions: Json | None = None
    ) -> AsyncGenerator[Result]:
        """Run a subscription, and yield the result of each event. An event that is not free delays the next one."""
        trace = self._trace() if self._trace else None
        charge = self._admit(operation, context, variables)
        if isinstance(charge, Result):
            yield charge
            return
        arguments = self._arguments(operation, context, variables, extensions, trace)
        started: Any = await await_maybe(subscribe(**arguments))
        if isinstance(started, ExecutionResult):
            yield Result(errors=self._shown(started.errors), is_refused=True)
            return
        try:
            async with aclosing(started) as events:
                async for event in events:
                    if trace:
                        trace.end_event()
                    yield Result(event.data, self._shown(event.errors))
                    await self._pay_for(event.data, operation, context)
        except Exception as error:  # graphql-core lets through what the source of the events raises
            yield Result(errors=self._shown([_as_graphql(error)]))

    def _admit(self, operation: Operation, context: Context, variables: Json) -> Charge | Result:
        """Return the charge that the operation has paid, or the result that refuses it."""
        if operation.document.errors:
            return Result(errors=operation.document.errors, is_refused=True)
        inputs = operation.input_cost(variables)
        cost = inputs + operation.cost(variables)
        try:
            check_cost(cost, self._limits)
        except LimitExceeded as error:
            return Result(errors=[error], is_refused=True)
        charge = Charge(self._budget, principal_of(context.viewer), cost, inputs, self._sleep)
        context.charge = charge
        if charge.wait:
            return Result(errors=[charge.refusal()], extensions=self._report(charge), is_refused=True)
        return charge

    def _arguments(
        self, operation: Operation, context: Context, variables: Json, extensions: Json | None, trace: Trace | None
    ) -> dict[str, Any]:
        return {
            "schema": self._schema._schema,
            "document": operation.document.node,
            "context_value": context,
            "variable_values": variables,
            "operation_name": operation.name,
            "middleware": MiddlewareManager(trace) if trace else None,
            "is_awaitable": optimized_is_awaitable,
            "executor_class": StrawberryGraphQLCoreExecutionContext,
            "operation_extensions": extensions,
        }

    def _shown(self, errors: list[GraphQLError] | None) -> list[GraphQLError]:
        if errors:
            self._schema.process_errors(errors)
        return errors or []

    def _report(self, charge: Charge) -> dict[str, Any]:
        return {"cost": charge.report()} if self._limits.report_cost else {}

    async def _pay_for(self, data: Json | None, operation: Operation, context: Context) -> None:
        """Between two events: what is dear delays the events after it, and none is lost."""
        points = min(counted_cost(data, operation.type) - EVENT, self._limits.max_cost)
        if points > 0:  # a free event does not wait for those that pay
            await self._budget.pay(principal_of(context.viewer), points, self._sleep)


def _as_graphql(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
