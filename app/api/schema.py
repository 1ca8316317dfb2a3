"""The schema, put together."""

from collections.abc import Callable, Iterable
from datetime import datetime

import strawberry
from graphql import ASTValidationRule, GraphQLError, specified_rules
from graphql.validation import NoSchemaIntrospectionCustomRule
from strawberry.extensions import DisableIntrospection, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from app.api.mutations import TransferMutations
from app.api.queries import Query
from app.api.scalars import DATE_TIME
from app.api.simulation import SimulationMutations
from app.api.subscriptions import Subscription

Extension = type[SchemaExtension] | Callable[[], SchemaExtension]


@strawberry.type(
    description="What can be changed. A refusal is data, in `userErrors`: the request was understood, and nothing has "
    "changed."
)
class Mutation(TransferMutations, SimulationMutations):
    pass


class Schema(strawberry.Schema):
    @property
    def rules(self) -> tuple[type[ASTValidationRule], ...]:
        """What documents are held against. Strawberry asks its extensions for theirs only when it runs one."""
        hidden = (NoSchemaIntrospectionCustomRule,) if DisableIntrospection in self.extensions else ()
        return (*specified_rules, *hidden)

    def sdl(self) -> str:
        """The text of schema.graphql."""
        return self.as_str() + "\n"

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """The transport logs: a fault with its trace, a client's mistake by its code alone."""
        if (
            self.config.disable_field_suggestions
        ):  # Strawberry takes care of fields; there are arguments and values, too
            for error in errors:
                error.message = error.message.partition(" Did you mean ")[0]


def build_schema(extensions: Iterable[Extension] = (), *, introspection: bool = True) -> Schema:
    """Without introspection there are no suggestions either: they would spell the schema out."""
    return Schema(
        Query,
        Mutation,
        Subscription,
        extensions=[*extensions, *([] if introspection else [DisableIntrospection])],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}, disable_field_suggestions=not introspection),
    )


def sdl() -> str:
    return build_schema().sdl()
