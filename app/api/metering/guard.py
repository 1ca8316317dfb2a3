"""Refuses a document that asks for too much, while it is validated."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    ValidationRule,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.api.metering.cost import Meter, operations
from app.api.metering.limits import Limits, too_complex, too_many

MOST_ERRORS = 5
"""Validation errors that are looked for. A wrong document may hold thousands."""
STRAWBERRY_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


class Marks(NamedTuple):
    """Counts of what makes validation slow."""

    aliases: int
    directives: int
    repeats: int  # of a field within its selection: graphql-core compares each with each
    spreads: int  # fragments in one selection, the most of any: graphql-core compares the fields of each pair


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
    """Raise LimitExceeded if the document is too much with any variables."""
    check_marks(count_marks(document), limits)
    meter = Meter(schema, document, limits)
    for operation in operations(document):
        check_cost(meter.cost(operation), limits)


def check_cost(cost: int, limits: Limits) -> None:
    if cost > limits.max_cost:
        raise too_complex(cost, limits.max_cost)


def limits_rule(limits: Limits) -> type[ValidationRule]:
    """Return the limits as one validation rule."""

    class LimitsRule(ValidationRule):
        # Entering the document comes before the rules that visit every node, which are slow on what is refused here.
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
    """Return the first validation errors, by these rules and by Strawberry's own."""
    return validate(schema, document, (*rules, *STRAWBERRY_RULES), MOST_ERRORS, hide_suggestions=hide_suggestions)
