"""Documents: parsed, validated and measured once, and found again by their text."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    parse,
)

from app.api.metering.budget import Budget, Charge, Principal
from app.api.metering.cost import Inputs, Meter, input_cost, inputs_of, operations, sizes_of
from app.api.metering.guard import errors_in, limits_rule
from app.api.metering.limits import LimitExceeded, Limits, too_long
from app.api.schema import Schema

KEPT = 500_000
"""Characters of the documents that are kept. A parsed document takes some 50 bytes of memory for each."""
KEPT_COSTS = 100
"""Costs that a document keeps. Clients use few page sizes."""
SUGGESTIONS = 300
"""Points for a validation error: to suggest names, graphql-core compares the wrong one with every name there is."""
NAME_LENGTH = 64
"""Characters of an operation's name that are logged: clients choose it, and it stands in every line of the log."""
OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"

# The lexer's tokens and comments, counted in a hundredth of the lexer's time, so that a long text can't keep us busy.
TOKEN = re.compile(r'''"""(?s:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"?|#[^\n\r]*|\.\.\.|-?\d[\w.+-]*|\w+|[^\s\w,\ufeff]''')


def count_tokens(text: str, enough: int) -> int:
    """Return the number of tokens, or `enough` plus one if there are more."""
    return sum(1 for _ in islice(TOKEN.finditer(text), enough + 1))


def parse_within(text: str, limits: Limits) -> DocumentNode:
    """Parse a text. Raise LimitExceeded or GraphQLSyntaxError."""
    if len(text) > limits.max_length:
        raise too_long(len(text), limits.max_length)
    if count_tokens(text, limits.max_tokens) > limits.max_tokens:
        raise LimitExceeded("QUERY_TOO_LONG", f"The document has more than {limits.max_tokens} tokens.")
    try:
        return parse(text, max_lexical_tokens=limits.max_tokens, max_comments=limits.max_tokens)
    except GraphQLSyntaxError as error:
        if not error.message.endswith("Parsing aborted."):
            raise
        code = "QUERY_TOO_DEEP" if "nested" in error.message else "QUERY_TOO_LONG"
        raise LimitExceeded(code, error.message.removeprefix("Syntax Error: ")) from None


class Document:
    """A parsed document, the errors that validation found, and what its operations cost."""

    def __init__(self, node: DocumentNode, errors: list[GraphQLError], schema: Schema, limits: Limits) -> None:
        self.node = node
        self.errors = errors
        self._schema = schema
        self._limits = limits
        self._operations = operations(node)
        self._costs: dict[tuple[object, ...], int] = {}
        self._inputs: dict[str | None, Inputs] = {}

    def operation(self, name: str | None) -> "Operation":
        """Return the operation of this name, or the only one. Raise GraphQLError if the request leaves it open."""
        named = [it for it in self._operations if name is None or name_of(it) == name]
        # Validation refuses two operations of one name, and says so.
        if not named or (name is None and len(named) > 1):
            raise _unresolved(name, len(self._operations))
        return Operation(self, named[0])

    def cost(self, operation: OperationDefinitionNode, variables: Mapping[str, object]) -> int:
        """Return the points for the objects that the operation may return with these variables."""
        sizes = sizes_of(operation, variables)
        key = (name_of(operation), *sizes.values())
        known = self._costs.get(key)
        if known is None:
            self._costs = {} if len(self._costs) >= KEPT_COSTS else self._costs
            known = Meter(self._schema._schema, self.node, self._limits, sizes).cost(operation)
            self._costs[key] = known
        return known

    def input_cost(self, operation: OperationDefinitionNode, variables: Mapping[str, object]) -> int:
        """Return the points for the literals and variables that the operation hands in."""
        name = name_of(operation)
        known = self._inputs.get(name)
        if known is None:
            known = self._inputs[name] = inputs_of(self.node, operation)
        return input_cost(known, operation, variables)


@dataclass(frozen=True, slots=True)
class Operation:
    """The operation of a document that a request means."""

    document: Document
    node: OperationDefinitionNode

    @property
    def type(self) -> OperationType:
        return self.node.operation

    @property
    def name(self) -> str | None:
        return name_of(self.node)

    def cost(self, variables: Mapping[str, object]) -> int:
        return self.document.cost(self.node, variables)

    def input_cost(self, variables: Mapping[str, object]) -> int:
        return self.document.input_cost(self.node, variables)

    def __str__(self) -> str:
        return f"{self.type.value} {(self.name or '(anonymous)')[:NAME_LENGTH]}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What takes the place of an operation if its document can't be read, or has no such operation."""

    error: GraphQLError
    type: OperationType = OperationType.QUERY
    name: str | None = None

    def __str__(self) -> str:
        return "an unreadable document"


class Documents:
    """The valid documents used last, by their text.

    Strawberry's ParserCache and ValidationCache would not do: the latter hashes the whole tree for each request, which
    takes as long as a small query, and both count documents instead of their size.
    """

    def __init__(self, schema: Schema, limits: Limits, budget: Budget, room: int = KEPT) -> None:
        self._schema = schema
        self._limits = limits
        self._budget = budget
        self._room = room
        self._rules = (limits_rule(limits), *schema.rules)
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, text: str, reader: Principal | None) -> Document:
        """Return the document of this text. A reader pays for a document that is not known yet.

        Raise LimitExceeded, GraphQLSyntaxError, or GraphQLError with the code THROTTLED.
        """
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
            return document
        if reader is not None:
            self._charge_reading(text, reader)
        document = self._check(parse_within(text, self._limits))
        if not document.errors:
            self._keep(text, document)
        elif reader is not None and self._schema.introspects:
            self._budget.settle(reader, -SUGGESTIONS * len(document.errors))
        return document

    def _check(self, node: DocumentNode) -> Document:
        errors = errors_in(self._schema._schema, node, self._rules, hide_suggestions=not self._schema.introspects)
        self._schema.process_errors(errors)
        return Document(node, errors, self._schema, self._limits)

    def _charge_reading(self, text: str, reader: Principal) -> None:
        # A text that is too long is refused before it is read.
        read = len(text) if len(text) <= self._limits.max_length else 0
        charge = Charge(self._budget, reader, int(read * self._limits.reading))
        if charge.wait:
            raise charge.refusal()

    def _keep(self, text: str, document: Document) -> None:
        self._kept[text] = document
        self._room -= len(text)
        while self._room < 0:
            self._room += len(self._kept.popitem(last=False)[0])


def name_of(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def _unresolved(name: str | None, count: int) -> GraphQLError:
    if name is not None:
        message = "The document has no operation of that name"
    else:
        message = "operationName must say which operation to run" if count else "The document has no operation"
    return GraphQLError(message, extensions={"code": OPERATION_RESOLUTION_FAILURE})
