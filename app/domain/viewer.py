"""Who asks: the customer, the subject and the permissions that a token grants."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    TRANSFERS_READ = "TRANSFERS_READ"
    TRANSFERS_WRITE = "TRANSFERS_WRITE"
    CALLS_READ = "CALLS_READ"
    SIMULATE = "SIMULATE"


@dataclass(frozen=True, slots=True)
class Viewer:
    """The bearer of a valid token. Everything he reads or changes is scoped to his customer."""

    customer_id: str
    subject: str
    permissions: frozenset[Permission]
    expires_at: datetime

    def require(self, permission: Permission) -> None:
        """Raises Forbidden when the token does not grant it."""
        if permission not in self.permissions:
            raise Forbidden(permission)


class Forbidden(Exception):
    """The token does not grant the permission that is needed."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(f"This needs the permission {permission}.")
        self.permission = permission
