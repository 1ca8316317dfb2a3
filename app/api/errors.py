"""Errors with a code, for requests that are forbidden or invalid."""

from graphql import GraphQLError

from app.domain.viewer import Forbidden, Permission, Viewer


def coded_error(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def bad_input(message: str) -> GraphQLError:
    return coded_error("BAD_USER_INPUT", message)


def forbidden(error: Forbidden) -> GraphQLError:
    return coded_error("FORBIDDEN", str(error))


def require(viewer: Viewer, permission: Permission) -> None:
    """Raise FORBIDDEN if the viewer's token does not grant the permission."""
    try:
        viewer.require(permission)
    except Forbidden as error:
        raise forbidden(error) from error
