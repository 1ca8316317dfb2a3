"""Which operation of a document a request means, known before anything runs."""

from dataclasses import dataclass
from functools import lru_cache

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from app.server.errors import OPERATION_RESOLUTION_FAILURE


@dataclass(frozen=True, slots=True)
class Operation:
    type: OperationType = OperationType.QUERY
    name: str | None = None
    error: GraphQLError | None = None  # why there is nothing to run

    def __str__(self) -> str:
        return "an unreadable document" if self.error else f"{self.type.value} {self.name or '(anonymous)'}"


class Documents:
    """Remembers the operations of the documents it has read; their trees are the schema's business."""

    def __init__(self, tokens: int, size: int = 512) -> None:
        self._tokens = tokens
        self._read = lru_cache(size)(self._parse)

    def operation(self, query: str, name: str | None) -> Operation:
        """The one that is meant, or one with an error when the document can't be read or leaves it open."""
        operations = self._read(query)
        if operations and operations[0].error:
            return operations[0]
        candidates = [operation for operation in operations if name in (None, operation.name)]
        # Two operations of one name are left to validation, which says so.
        if not candidates or (name is None and len(candidates) > 1):
            return Operation(error=_unresolved(name, len(operations)))
        return candidates[0]

    def _parse(self, query: str) -> tuple[Operation, ...]:
        try:
            document = parse(query, no_location=True, max_lexical_tokens=self._tokens, max_comments=self._tokens)
        except GraphQLError as error:
            return (Operation(error=error.with_traceback(None)),)
        definitions = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        return tuple(Operation(node.operation, node.name.value if node.name else None) for node in definitions)


def _unresolved(name: str | None, count: int) -> GraphQLError:
    if name is not None:
        message = "The document has no operation of that name"
    else:
        message = "operationName must say which operation to run" if count else "The document has no operation"
    return GraphQLError(message, extensions={"code": OPERATION_RESOLUTION_FAILURE})
