"""The documents used last: parsed, found valid, measured."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from weakref import WeakValueDictionary

from graphql import DocumentNode, GraphQLError, GraphQLSchema, GraphQLSyntaxError, OperationDefinitionNode, parse

from app.api.metering.charge import Charge
from app.api.metering.cost import Inputs, Meter, input_cost, inputs_of, operations, sizes_of
from app.api.metering.limits import Budget, LimitExceeded, Limits, Principal, too_long

# Of the documents kept, in characters; a character takes some 50 bytes of memory when parsed.
KEPT = 500_000
KEPT_COSTS = 100


# The lexer's tokens and comments, in a hundredth of its time: what is far too long is not to keep us busy.
TOKEN = re.compile(r'''"""(?s:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"?|#[^\n\r]*|\.\.\.|-?\d[\w.+-]*|\w+|[^\s\w,\ufeff]''')


def count_tokens(text: str, enough: int) -> int:
    """How many there are, but for those beyond `enough` and one more."""
    return sum(1 for _ in islice(TOKEN.finditer(text), enough + 1))


def parse_within(text: str, limits: Limits) -> DocumentNode:
    """Raises LimitExceeded, or GraphQLSyntaxError."""
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


class Plan:
    """A parsed document and what was found out about it."""

    def __init__(self, document: DocumentNode) -> None:
        self.document = document
        self.rules: tuple[object, ...] = ()
        """Those it was held against, with these errors."""
        self.errors: list[GraphQLError] = []
        self._costs: dict[tuple[object, ...], int] = {}
        self._inputs: dict[str | None, Inputs] = {}

    def operation(self, name: str | None) -> OperationDefinitionNode:
        found = operations(self.document)
        return next((it for it in found if name and it.name and it.name.value == name), found[0])

    def cost(
        self, schema: GraphQLSchema, operation: OperationDefinitionNode, values: Mapping[str, object], limits: Limits
    ) -> int:
        """With these variables. Few sizes are in use, so few costs are to be remembered."""
        sizes = sizes_of(operation, values)
        key = (operation.name.value if operation.name else None, *sizes.values())
        known = self._costs.get(key)
        if known is None:
            self._costs = {} if len(self._costs) >= KEPT_COSTS else self._costs
            known = self._costs[key] = Meter(schema, self.document, limits, sizes).cost(operation)
        return known

    def input_cost(self, operation: OperationDefinitionNode, values: Mapping[str, object]) -> int:
        name = operation.name.value if operation.name else None
        known = self._inputs.get(name)
        if known is None:
            known = self._inputs[name] = inputs_of(self.document, operation)
        return input_cost(known, operation, values)


class Plans:
    """The plans of the valid documents used last, by their text.

    In the place of ParserCache and ValidationCache: the latter hashes the whole tree with every request, which takes
    as long as running a small query, and both count documents, not what they weigh.
    """

    def __init__(self, limits: Limits, budget: Budget, room: int = KEPT) -> None:
        self._limits = limits
        self._budget = budget
        self._room = room
        self._kept: OrderedDict[str, Plan] = OrderedDict()
        self._in_use: WeakValueDictionary[str, Plan] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._kept)

    def plan(self, text: str, reader: Principal | None) -> Plan:
        """The same for as long as somebody holds it. A reader pays for what is new to us, whatever becomes of it.

        Raises LimitExceeded, GraphQLSyntaxError, or GraphQLError of code THROTTLED.
        """
        plan = self._in_use.get(text)
        if plan is None:
            if reader is not None:
                self._charge(text, reader)
            plan = self._in_use[text] = Plan(parse_within(text, self._limits))
        if text in self._kept:
            self._kept.move_to_end(text)
        return plan

    def _charge(self, text: str, reader: Principal) -> None:
        # What is too long is not even read.
        read = len(text) if len(text) <= self._limits.max_length else 0
        charge = Charge(self._budget, reader, int(read * self._limits.reading))
        if charge.wait:
            raise charge.refusal()

    def keep(self, text: str, plan: Plan) -> None:
        self._room -= len(text) if text not in self._kept else 0
        self._kept[text] = plan
        while self._room < 0:
            self._room += len(self._kept.popitem(last=False)[0])
