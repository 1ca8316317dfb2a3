"""Operations run by the executor, as every transport runs them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from app.api.execution.document import Operation
from app.api.execution.executor import Executor, Result
from app.api.metering.budget import Budget, Charge, principal_of
from app.api.metering.limits import Limits
from app.api.schema import Schema
from app.domain.viewer import Viewer


@dataclass
class Nobody:
    """The context of an operation that nobody has signed in for."""

    viewer: Viewer | None = None
    charge: Charge | None = None


def executor_of(schema: Schema, limits: Limits = Limits()) -> Executor:  # noqa: B008 - frozen
    return Executor(schema, limits, Budget(limits.budget, limits.budget_rate))


def read(executor: Executor, text: str, context: Any, name: str | None = None) -> Operation | Result:
    """Return the operation, or the result of a document that can't be read."""
    try:
        return executor.documents.read(text, principal_of(context.viewer)).operation(name)
    except GraphQLError as error:
        return Result(errors=[error], is_refused=True)


async def ask(executor: Executor, text: str, context: Any, name: str | None = None, **variables: Any) -> Result:
    found = read(executor, text, context, name)
    return found if isinstance(found, Result) else await executor.run(found, context, variables)


async def stream(executor: Executor, text: str, context: Any, **variables: Any) -> AsyncGenerator[Result]:
    found = read(executor, text, context)
    if isinstance(found, Result):
        yield found
        return
    async for result in executor.subscribe(found, context, variables):
        yield result
