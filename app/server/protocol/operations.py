"""Runs operations for every transport, and encodes their responses."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from graphql import GraphQLError, OperationType

from app.api.execution.document import Operation, Unreadable
from app.api.execution.executor import Executor, Result
from app.api.metering.budget import principal_of
from app.domain.viewer import Viewer
from app.limits import TransportLimits
from app.server.errors import (
    BAD_USER_INPUT,
    EXECUTION_TIMEOUT,
    GRAPHQL_VALIDATION_FAILED,
    INTERNAL_SERVER_ERROR,
    SERVICE_UNAVAILABLE,
    TOO_MANY_OPERATIONS,
    describe,
    fault,
    formatted_error,
)
from app.server.protocol.journal import Journal
from app.server.protocol.parameters import Parameters
from app.server.protocol.trusted import TrustedDocuments
from app.server.quota import Quota, QuotaExceeded

logger = logging.getLogger(__name__)

Context = Callable[[Viewer, str], Any]
Asked = Operation | Unreadable

OF_WORK = {EXECUTION_TIMEOUT, INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE}
"""Error codes of operations that had begun to run. Other responses without `data` are given before anything runs."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for an operation. `id` stands in the log and in the errors of faults."""

    parameters: Parameters
    viewer: Viewer
    id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL response, encoded once."""

    body: bytes
    errors: list[dict[str, Any]] = field(default_factory=list)
    executed: bool = True  # False for a request error: it has no `data`, and a stream ends with it
    again: bool = False  # True if a subscription can't go on now, and the client should subscribe again

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]

    @property
    def ran(self) -> bool:
        return self.executed or self.code in OF_WORK

    @property
    def code(self) -> str | None:
        return self.codes[0] if self.errors else None


class Operations:
    """`context` makes the context of an operation, from the viewer and the id of the request."""

    def __init__(
        self,
        executor: Executor,
        trusted: TrustedDocuments,
        context: Context,
        limits: TransportLimits,
        journal: Journal,
    ) -> None:
        self._executor = executor
        self._trusted = trusted
        self._context = context
        self._limits = limits
        self._journal = journal
        self._outlive: set[asyncio.Task[Answer]] = set()
        self._mutations = Quota(limits.customer_mutations)
        self._subscriptions = Quota(limits.customer_subscriptions)

    def find(self, request: Request) -> Asked:
        """Return the operation that the request means, or the error that leaves nothing to run."""
        asked = request.parameters
        # A document that is requested by its hash is trusted, so reading it is not charged.
        reader = None if asked.query is None else principal_of(request.viewer)
        try:
            text = self._trusted.text(asked.query, asked.document_hash, is_automatic=asked.is_automatic)
            return self._executor.documents.read(text, reader).operation(asked.operation_name)
        except GraphQLError as error:
            return Unreadable(error.with_traceback(None))

    async def run(self, request: Request, operation: Asked) -> Answer:
        """Run a query or a mutation. If this is cancelled, a query stops, and a mutation goes on to its end."""
        if operation.type is OperationType.MUTATION:
            return await asyncio.shield(self._outliving(self._noted(request, operation)))
        return await self._noted(request, operation)

    async def stream(self, request: Request, operation: Asked) -> AsyncGenerator[Answer]:
        """Run any operation, and yield its answers: one, or many of a subscription. A request error is the last."""
        if isinstance(operation, Unreadable) or operation.type is not OperationType.SUBSCRIPTION:
            yield await self.run(request, operation)
            return
        with self._journal.operation(operation, _about(request, operation)) as entry:
            async with aclosing(self._stream(request, operation)) as answers:
                async for answer in answers:
                    entry.note(*answer.codes)
                    yield answer

    async def settle(self) -> None:
        """Wait for the mutations in flight."""
        while self._outlive:
            await asyncio.wait(self._outlive)

    def _outliving(self, mutation: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        task = asyncio.create_task(mutation)
        self._outlive.add(task)
        task.add_done_callback(self._outlive.discard)
        return task

    async def _stream(self, request: Request, operation: Operation) -> AsyncGenerator[Answer]:
        try:
            with self._subscriptions.slot(request.viewer.customer_id):
                async with aclosing(self._executor.subscribe(*self._arguments(request, operation))) as results:
                    async for result in results:
                        yield _again(self._answer(result, None, request, operation))
        except QuotaExceeded:
            yield _crowded("subscriptions")
        except Exception as error:
            yield _again(self._failed(error, request, operation))

    async def _noted(self, request: Request, operation: Asked) -> Answer:
        with self._journal.operation(operation, _about(request, operation)) as entry:
            answer = await self._run(request, operation)
            entry.note(*answer.codes)
            entry.ran = answer.ran
            return answer

    async def _run(self, request: Request, operation: Asked) -> Answer:
        if isinstance(operation, Unreadable):
            return _refusal(describe([operation.error], None, request.id, _about(request, operation)))
        try:
            async with asyncio.timeout(self._limits.operation_seconds) as deadline:
                with self._place(request, operation):
                    result = await self._executor.run(*self._arguments(request, operation))
            return self._answer(result, BAD_USER_INPUT, request, operation)
        except QuotaExceeded:
            return _crowded("mutations")
        except TimeoutError as error:
            return self._late(request, operation) if deadline.expired() else self._failed(error, request, operation)
        except Exception as error:
            return self._failed(error, request, operation)

    def _place(self, request: Request, operation: Asked) -> AbstractContextManager[None]:
        is_mutation = operation.type is OperationType.MUTATION
        return self._mutations.slot(request.viewer.customer_id) if is_mutation else nullcontext()

    def _arguments(self, request: Request, operation: Operation) -> tuple[Operation, Any, Mapping[str, Any], Any]:
        parameters = request.parameters
        context = self._context(request.viewer, request.id)
        return operation, context, parameters.variables or {}, parameters.extensions

    def _answer(self, result: Result, default: str | None, request: Request, operation: Operation) -> Answer:
        """Encode the result. `default` is the code of errors that belong to no field, if the document was valid."""
        body: dict[str, Any] = {}
        if result.errors:
            default = GRAPHQL_VALIDATION_FAILED if result.is_refused else default
            body["errors"] = describe(result.errors, default, request.id, _about(request, operation))
            if (away := _away(body["errors"])) and _came_to_nothing(result):
                return _refusal(away)
        if result.has_data:
            body["data"] = result.data
        if result.extensions:
            body["extensions"] = result.extensions
        return Answer(orjson.dumps(body), body.get("errors", []), result.has_data)

    def _late(self, request: Request, operation: Asked) -> Answer:
        logger.warning("Timed out: %s", operation, extra=_about(request, operation))
        return _refusal([formatted_error("The operation took too long", EXECUTION_TIMEOUT, requestId=request.id)])

    def _failed(self, error: Exception, request: Request, operation: Asked) -> Answer:
        return _refusal([fault(error, request.id, _about(request, operation))])


def _came_to_nothing(result: Result) -> bool:
    return all(value is None for value in (result.data or {}).values())


def _away(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [error for error in errors if error["extensions"]["code"] == SERVICE_UNAVAILABLE]


def _again(answer: Answer) -> Answer:
    return replace(answer, again=bool(_away(answer.errors)))


def _refusal(errors: list[dict[str, Any]]) -> Answer:
    return Answer(orjson.dumps({"errors": errors}), errors, executed=False)


def _crowded(what: str) -> Answer:
    return _refusal([formatted_error(f"The customer has too many {what}", TOO_MANY_OPERATIONS)])


def _about(request: Request, operation: Asked) -> dict[str, object]:
    return {
        "request_id": request.id,
        "customer_id": request.viewer.customer_id,
        "operation": str(operation),
    }
