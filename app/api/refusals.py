"""How the API says no: errors with a code, for what a request may not do or can't mean."""

from graphql import GraphQLError

from app.domain.viewer import Forbidden, Permission, Viewer


def refused(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def bad_input(message: str) -> GraphQLError:
    return refused("BAD_USER_INPUT", message)


def forbidden(error: Forbidden) -> GraphQLError:
    return refused("FORBIDDEN", str(error))


def require(viewer: Viewer, permission: Permission) -> None:
    """Raises FORBIDDEN when the viewer's token does not grant it."""
    try:
        viewer.require(permission)
    except Forbidden as error:
        raise forbidden(error) from error
