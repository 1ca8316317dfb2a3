"""Decorators of resolvers that keep the function typed, which Strawberry's own do not."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import strawberry

Resolver = TypeVar("Resolver", bound=Callable[..., Any])


def resolved(description: str, metadata: Mapping[str, Any] | None = None) -> Callable[[Resolver], Resolver]:
    """Declare a field. `metadata` holds its price (`app.api.metering.price`)."""
    decorator: Callable[[Resolver], Resolver] = strawberry.field(description=description, metadata=metadata or {})
    return decorator


def subscribed(description: str, metadata: Mapping[str, Any] | None = None) -> Callable[[Resolver], Resolver]:
    """Declare a subscription. `metadata` holds its price."""
    decorator: Callable[[Resolver], Resolver] = strawberry.subscription(
        description=description, metadata=metadata or {}
    )
    return decorator
