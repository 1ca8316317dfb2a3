"""Which operation of which document a request means, known before anything runs."""

from dataclasses import dataclass

from graphql import GraphQLError, OperationDefinitionNode, OperationType

from app.api.execution.document import Plan, Plans
from app.api.metering.charge import principal_of
from app.api.metering.cost import operations
from app.domain.viewer import Viewer
from app.server.errors import OPERATION_RESOLUTION_FAILURE
from app.server.protocol.parameters import Parameters
from app.server.protocol.trusted import TrustedDocuments

NOTHING_TRUSTED = TrustedDocuments()
NAME_LENGTH = 64
"""As much of an operation's name is shown: clients make it up, and it stands in every line of the log."""


@dataclass(frozen=True, slots=True)
class Operation:
    type: OperationType = OperationType.QUERY
    name: str | None = None
    text: str = ""  # of the whole document
    plan: Plan | None = None  # as long as we hold it the schema need not parse the text again
    error: GraphQLError | None = None  # why there is nothing to run

    def __str__(self) -> str:
        name = (self.name or "(anonymous)")[:NAME_LENGTH]
        return "an unreadable document" if self.error else f"{self.type.value} {name}"


class Documents:
    """What clients ask to run, and what the operator lets them."""

    def __init__(self, plans: Plans, trusted: TrustedDocuments = NOTHING_TRUSTED) -> None:
        self._plans = plans
        self._trusted = trusted

    def operation(self, asked: Parameters, viewer: Viewer) -> Operation:
        """The one that is meant, or one with an error when the document can't be read or leaves it open."""
        try:
            text = self._trusted.text(asked.query, asked.document_hash, is_automatic=asked.is_automatic)
            # By its hash it is one that the operator wants to be run.
            plan = self._plans.plan(text, None if asked.query is None else principal_of(viewer))
            meant = _meant(operations(plan.document), asked.operation_name)
        except GraphQLError as error:
            return Operation(error=error.with_traceback(None))
        return Operation(meant.operation, meant.name.value if meant.name else None, text, plan)


def _meant(candidates: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    named = [it for it in candidates if name is None or (it.name and it.name.value == name)]
    # Two operations of one name are left to validation, which says so.
    if not named or (name is None and len(named) > 1):
        raise _unresolved(name, len(candidates))
    return named[0]


def _unresolved(name: str | None, count: int) -> GraphQLError:
    if name is not None:
        message = "The document has no operation of that name"
    else:
        message = "operationName must say which operation to run" if count else "The document has no operation"
    return GraphQLError(message, extensions={"code": OPERATION_RESOLUTION_FAILURE})
