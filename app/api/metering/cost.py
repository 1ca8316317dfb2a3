"""The cost of an operation in points, by its text and page sizes, and the cost of a result.

An object costs 1 point, and 1 more for every 50 of its fields that are selected. A text costs as a field for every 20
characters that it may have. A field of a mutation costs 10 more, and the start of a subscription 10. An event costs
what its result costs beyond 25. A list costs as many objects as it may have, which its field declares (`price`). Input
costs 1 for each member of a list and each field of an object, for every argument that takes it; the first 20 are free.

The rows of counts are charged when they have been counted (`Charge.count`), since nobody knows their number before.

Selections that exclude each other (`@include`, `@skip`, the types of an interface) are added up, and so is a field that
is selected twice.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from app.api.metering.limits import Limits, too_deep
from app.api.metering.price import CHARACTERS, MOST, PAGE, ListSize, list_size_of, weight_of

WIDTH = 50
LONG = 100  # Characters: a result's shorter texts are in the price of their objects.
FREE_INPUTS = 20
MUTATION = 10
SUBSCRIPTION = 10
EVENT = 25  # As much of an event's result is free: a transfer with its parties.
INTROSPECTION_DEPTH = 25  # what GraphiQL's takes; its lists are limited by a rule of graphql-core
INTROSPECTED = ListSize(10)
"""The assumed size of the lists of introspection."""

# The page size of each variable, by name. None: it has no value, or one that is no size.
Variables = Mapping[str, int | None]


class Weight(NamedTuple):
    """The measure of a selection, taken once and multiplied wherever the selection is used."""

    cost: int = 0
    each: int = 0  # of one member of the connection selected from: to be multiplied by the page size
    leaves: int = 0  # fields of the object selected from
    height: int = 0  # nested selection sets


NOTHING = Weight()


class Inputs(NamedTuple):
    """The literals that an operation hands to its fields, and how often it hands each variable to one."""

    literals: int
    uses: Counter[str]


class Meter:
    """Measures the operations of one document. Each fragment is measured once, so the time is linear in the text.

    Without variables, a size that a variable gives counts 0: no variables can make the cost lower.
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, limits: Limits, variables: Variables | None = None
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._variables = variables
        self._definitions = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}
        self._fragments: dict[str, Weight] = {}

    def cost(self, operation: OperationDefinitionNode) -> int:
        root = self._schema.get_root_type(operation.operation)
        weight = self._selections(operation.selection_set, root, 1) if root else NOTHING
        started = SUBSCRIPTION if operation.operation is OperationType.SUBSCRIPTION else 0
        return max(1, weight.cost + weight.each * PAGE + started)

    def _selections(self, node: SelectionSetNode, parent: GraphQLCompositeType, level: int) -> Weight:
        self._check_depth(level)
        cost = each = leaves = height = 0
        for selection in node.selections:
            weight = self._selection(selection, parent, level)
            cost += weight.cost
            each += weight.each
            leaves += weight.leaves
            height = max(height, weight.height)
        return Weight(cost, each, leaves, height + 1)

    def _selection(self, node: SelectionNode, parent: GraphQLCompositeType, level: int) -> Weight:
        if isinstance(node, FieldNode):
            return self._field(node, parent, level)
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value, level)
        if isinstance(node, InlineFragmentNode):
            return self._inline(node, parent, level)
        return NOTHING

    def _inline(self, node: InlineFragmentNode, parent: GraphQLCompositeType, level: int) -> Weight:
        on = self._schema.get_type(node.type_condition.name.value) if node.type_condition else parent
        return self._selections(node.selection_set, on, level + 1) if is_composite_type(on) else NOTHING

    def _fragment(self, name: str, level: int) -> Weight:
        weight = self._fragments.get(name)
        if weight is None:
            # Unknown fragments and cycles weigh nothing, since graphql-core refuses both.
            self._fragments[name] = NOTHING
            weight = self._fragments[name] = self._definition(self._definitions.get(name), level)
        self._check_depth(level + weight.height)
        return weight

    def _definition(self, node: FragmentDefinitionNode | None, level: int) -> Weight:
        on = self._schema.get_type(node.type_condition.name.value) if node else None
        return self._selections(node.selection_set, on, level + 1) if node and is_composite_type(on) else NOTHING

    def _field(self, node: FieldNode, parent: GraphQLCompositeType, level: int) -> Weight:
        name = node.name.value
        field = self._schema.get_field(parent, name)
        named = get_named_type(field.type) if field else None
        if field is None or not is_composite_type(named):
            return Weight(leaves=weight_of(field) if field else 1)
        if name.startswith("__"):
            level = min(level, self._limits.max_depth - INTROSPECTION_DEPTH)
        inner = self._selections(node.selection_set, named, level + 1) if node.selection_set else NOTHING
        weight = self._times(node, field, parent, inner)
        return weight._replace(height=0) if name.startswith("__") else weight

    def _times(self, node: FieldNode, field: GraphQLField, parent: GraphQLCompositeType, inner: Weight) -> Weight:
        declared = INTROSPECTED if parent.name.startswith("__") else list_size_of(field)
        size = self._list_size(node, declared or ListSize())
        one = 1 + inner.leaves // WIDTH + inner.cost + inner.each * size
        if parent is self._schema.mutation_type:
            one += MUTATION
        if not is_list_type(get_nullable_type(field.type)):
            return Weight(one, 0, 1, inner.height)
        return Weight(one * size, 0, 1, inner.height) if declared else Weight(0, one, 1, inner.height)

    def _list_size(self, node: FieldNode, declared: ListSize) -> int:
        """Return the size that the arguments ask for, or the one that is assumed."""
        slicing = declared.slicing_arguments
        given = [self._size(it.value) for it in node.arguments or () if it.name.value in slicing]
        return max((it for it in given if it is not None), default=declared.assumed_size)

    def _size(self, value: ValueNode) -> int | None:
        if not isinstance(value, VariableNode):
            return literal_size(value)
        return 0 if self._variables is None else self._variables.get(value.name.value)

    def _check_depth(self, level: int) -> None:
        if level > self._limits.max_depth:
            raise too_deep(level, self._limits.max_depth)


def literal_size(value: ValueNode | None) -> int | None:
    if value is None or isinstance(value, NullValueNode):
        return None
    if isinstance(value, IntValueNode):
        # int() refuses thousands of digits.
        return _within_page(int(value.value)) if len(value.value) < 10 else MOST
    return _within_page(len(value.values)) if isinstance(value, ListValueNode) else 1


def value_size(value: object) -> int | None:
    if isinstance(value, int | float):  # 100.0 is an Int as well; graphql-core refuses fractions
        return _within_page(int(value)) if isfinite(value) else MOST
    if isinstance(value, (list, tuple)):
        return _within_page(len(value))
    return None if value is None else 1


def _within_page(size: int) -> int:
    return max(0, min(size, MOST))


def sizes_of(operation: OperationDefinitionNode, values: Mapping[str, object]) -> dict[str, int | None]:
    """Return the variables of an operation as sizes: their values, or else their defaults."""
    return {
        name: value_size(values[name]) if name in values else literal_size(it.default_value)
        for it in operation.variable_definitions or ()
        for name in (it.variable.name.value,)
    }


def inputs_of(document: DocumentNode, operation: OperationDefinitionNode) -> Inputs:
    """Return the inputs of an operation. A fragment counts once: only root fields take lists and objects."""
    literals, uses = 0, Counter[str]()
    todo: list[Any] = [operation, *(it for it in document.definitions if isinstance(it, FragmentDefinitionNode))]
    while todo:
        node = todo.pop()
        if isinstance(node, VariableNode):
            uses[node.name.value] += 1
        members = _members(node)
        literals += len(members)
        inner = getattr(node, "selection_set", None)
        arguments = getattr(node, "arguments", None) or ()
        todo += (*members, *(it.value for it in arguments), *(inner.selections if inner else ()))
    return Inputs(literals, uses)


def input_cost(inputs: Inputs, operation: OperationDefinitionNode, values: Mapping[str, object]) -> int:
    """Return the cost of the inputs. graphql-core coerces a variable again for each argument that takes it."""
    defaults = {it.variable.name.value: it.default_value for it in operation.variable_definitions or ()}
    given = {**defaults, **values}
    of_variables = sum(count * _size_of(given.get(name)) for name, count in inputs.uses.items())
    return max(0, inputs.literals + of_variables - FREE_INPUTS)


def _size_of(value: object) -> int:
    """Return the members of a value or a literal, nested ones included."""
    found, todo = 0, [value]
    while todo:
        members = _members(todo.pop())
        found += len(members)
        todo += members
    return found


def _members(value: object) -> Collection[object]:
    match value:
        case dict():
            return value.values()
        case list() | tuple():
            return value
        case ListValueNode():
            return value.values
        case ObjectValueNode():
            return [it.value for it in value.fields]
    return ()


def counted_cost(data: Mapping[str, Any] | None, operation: OperationType) -> int:
    """Return the cost of a result: by the same prices, and its true sizes."""
    base = MUTATION * len(data or ()) if operation is OperationType.MUTATION else 0
    found, characters, todo = 0, 0, [*(data or {}).values()]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            found += 1 + len(value) // WIDTH
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str) and len(value) > LONG:
            characters += len(value)
    return max(1, base + found + characters // (CHARACTERS * WIDTH))


def operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
