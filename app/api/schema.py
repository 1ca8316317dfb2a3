"""The schema, put together."""

from datetime import datetime

import strawberry
from graphql import ASTValidationRule, GraphQLError, specified_rules
from graphql.validation import NoSchemaIntrospectionCustomRule
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from app.api.mutations import TransferMutations
from app.api.queries import Query
from app.api.scalars import DATE_TIME
from app.api.simulation import SimulationMutations
from app.api.subscriptions import Subscription


@strawberry.type(
    description="The mutations. A refusal is data, in `userErrors`: the request was understood and nothing has changed."
)
class Mutation(TransferMutations, SimulationMutations):
    pass


class Schema(strawberry.Schema):
    """A schema that can't be introspected suggests no names either: suggestions would spell it out."""

    @property
    def introspects(self) -> bool:
        return not self.config.disable_field_suggestions

    @property
    def rules(self) -> tuple[type[ASTValidationRule], ...]:
        """The validation rules of the specification, and one that refuses introspection if it is off."""
        return (*specified_rules, *(() if self.introspects else (NoSchemaIntrospectionCustomRule,)))

    def sdl(self) -> str:
        """Return the text of schema.graphql."""
        return self.as_str() + "\n"

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing, since the transport logs errors. Remove suggested names if the schema suggests none.

        Strawberry removes suggestions of fields alone; graphql-core suggests arguments and values as well.
        """
        if not self.introspects:
            for error in errors:
                error.message = error.message.partition(" Did you mean ")[0]


def build_schema(*, introspection: bool = True) -> Schema:
    return Schema(
        Query,
        Mutation,
        Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}, disable_field_suggestions=not introspection),
    )


def sdl() -> str:
    return build_schema().sdl()
