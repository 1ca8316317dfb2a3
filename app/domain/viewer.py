"""The viewer: the customer, the subject and the permissions of a token."""

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
    """The bearer of a valid token. They can only read and change what belongs to their customer."""

    customer_id: str
    subject: str
    permissions: frozenset[Permission]
    expires_at: datetime

    def require(self, permission: Permission) -> None:
        """Raise Forbidden when the token does not grant the permission."""
        if permission not in self.permissions:
            raise Forbidden(permission)


class Forbidden(Exception):
    """Raised when the token does not grant the permission that an operation needs."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(f"This operation needs the permission {permission}.")
        self.permission = permission
