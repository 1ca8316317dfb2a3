"""The console command `transfers`: serve, token, schema, watch."""

import asyncio
import errno
import logging
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated
from uuid import UUID

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console

from app.api.schema import sdl
from app.demo import CUSTOMER
from app.domain.viewer import Permission
from app.logs import configure_logs
from app.main import CantStart, Server, build_server, build_tokens
from app.server.wire.serve import listen
from app.server.wire.serve import serve as serve_until_stopped
from app.settings import Settings, unknown_variables
from app.watch import NoToken, Unreachable, watch_transfers

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="A GraphQL API server for call transfers.\n\nStart with: [bold]transfers serve --demo[/bold]",
)

log = logging.getLogger(__name__)
out, errors = Console(), Console(stderr=True)


class Fail(typer.Exit):
    """Raised to end the command with a one-line reason on standard error."""

    def __init__(self, why: str, code: int = 1) -> None:
        errors.print(f"transfers: {why}", style="red", highlight=False, markup=False, soft_wrap=True)
        super().__init__(code)


def read_settings(**options: object) -> Settings:
    """Read the settings from the environment. An option, unless it is None, overrides the variable of its name."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "".join(f"--{part}: " if part in given else f"TRANSFERS_{part}: ".upper() for part in first["loc"][:1])
        raise Fail(name + first["msg"].removeprefix("Value error, "), 2) from error


def warn_of_unknown_variables() -> None:
    for warning in unknown_variables(os.environ):
        log.warning(warning)


def show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"transfers {version('transfers')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def transfers(
    show: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Accept the options that stand before a command."""


@app.command(epilog="Example: transfers serve --demo --port 8080")
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on. 0: any free port. Default: 8000.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add a demo customer with two live calls.")] = False,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    settings = read_settings(host=host, port=port)
    configure_logs(settings.log_format, settings.log_level)
    warn_of_unknown_variables()
    if not settings.is_loopback and not settings.has_own_keys:
        raise Fail("TRANSFERS_AUTH_SECRET (or a public key) is needed to listen on an address that is not loopback", 2)
    try:
        server = build_server(settings, is_demo=demo)
        uvloop.run(server.house.prepare())
    except ValueError as error:
        raise Fail(str(error), 2) from error
    except CantStart as error:
        raise Fail(str(error)) from error
    try:
        listener = listen(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = (
            "the port is in use. Set another one with --port or TRANSFERS_PORT"
            if is_taken
            else getattr(error, "strerror", None) or error
        )
        raise Fail(f"can't listen on {settings.host}:{settings.port}: {why}") from error
    _greet(server, *listener.getsockname()[:2])
    drain, turned_away = server.endpoint.drain, server.house.metrics.turned_away
    with suppress(KeyboardInterrupt):  # Ctrl-C is the normal end of a demo: on another exit code make reports an error
        uvloop.run(serve_until_stopped(server.app, listener, drain, settings.grace_seconds, server.limits, turned_away))


def _greet(server: Server, host: str, port: int) -> None:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    lines = [f"Transfers on {url}/graphql"]
    if server.demo:
        lines += [
            f"Open   {url}/ and follow its links, or run the tabs of {url}/graphiql from left to right.",
            f"Watch  .venv/bin/transfers watch --url {url}/graphql",
        ]
    with suppress(OSError):  # standard output is closed or full: the server runs without the greeting
        print("\n".join(lines), flush=True)  # noqa: T201


@app.command(epilog=f"Example: transfers token --customer {CUSTOMER} --permission TRANSFERS_READ --ttl 600")
def token(
    customer: Annotated[UUID, typer.Option(help="The customer whose calls and transfers the token gives access to.")],
    subject: Annotated[
        str, typer.Option(help="The bearer's name. It is stored in every event that they cause.")
    ] = "operator",
    permission: Annotated[
        list[Permission] | None,
        typer.Option(help="A permission of the token. Repeat the option for several. Default: all."),
    ] = None,
    ttl: Annotated[int, typer.Option(min=1, help="Seconds until the token expires.")] = 3600,
) -> None:
    """Print a token that this server accepts."""
    settings = read_settings()
    warn_of_unknown_variables()
    try:
        made = build_tokens(settings).issue(str(customer), subject, permission or Permission, ttl)
    except (TypeError, ValueError) as error:
        raise Fail(str(error)) from error
    print(made)  # noqa: T201 - only the token, so that scripts can use the output


@app.command(epilog="Example: transfers schema > schema.graphql")
def schema() -> None:
    """Print the GraphQL schema."""
    sys.stdout.write(sdl())


@app.command(epilog='Example: transfers watch --token "$(transfers token --customer UUID)"')
def watch(
    token: Annotated[
        str | None,
        typer.Option(envvar="TRANSFERS_TOKEN", help="A token from `transfers token`. A demo server needs none."),
    ] = None,
    url: Annotated[
        str, typer.Option(help="The GraphQL endpoint of the running server.")
    ] = "http://127.0.0.1:8000/graphql",
) -> None:
    """Show the transfers of a running server in a live table."""
    try:
        asyncio.run(watch_transfers(url, token, out))
    except NoToken as error:
        raise Fail(str(error), 2) from error
    except Unreachable as error:
        raise Fail(str(error)) from error
    except KeyboardInterrupt:
        raise typer.Exit from None


def hold_descriptors() -> None:
    """Open /dev/null for closed standard streams. Otherwise the next file or socket would get their descriptor."""
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(lowest)


def main() -> None:
    hold_descriptors()
    app()
