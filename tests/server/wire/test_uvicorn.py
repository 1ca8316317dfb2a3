"""The methods of uvicorn and websockets that our classes override or rely on are those that we have read."""

import inspect
from hashlib import sha256
from importlib.metadata import version
from types import FunctionType

import pytest
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import Protocol

from app.server.wire.http import LimitedHTTP
from app.server.wire.protocol import Config
from app.server.wire.serve import DrainingServer
from app.server.wire.websocket import LimitedWebSocket

Ours = type[Config] | type[LimitedHTTP] | type[LimitedWebSocket] | type[DrainingServer]

OVERRIDES: dict[Ours, type] = {
    Config: uvicorn.Config,
    LimitedHTTP: HttpToolsProtocol,
    LimitedWebSocket: WebSocketsSansIOProtocol,
    DrainingServer: uvicorn.Server,
}
# The beginning of the SHA-256 of each method's source.
READ: dict[Ours, dict[type, dict[str, str]]] = {
    Config: {
        uvicorn.Config: {
            "__init__": "98e927ea97a7",
            "load": "92b7159dce10",
        },
        ProxyHeadersMiddleware: {
            "__init__": "7aa920bbc1fa",
            "__call__": "b601df964c02",
        },
    },
    LimitedHTTP: {
        HttpToolsProtocol: {
            "__init__": "4f0899941034",
            "connection_made": "6efb565ff3d3",
            "connection_lost": "c91a4c9bf2e2",
            "data_received": "010a7ae59a5d",
            "pause_writing": "17a8fd215d96",
            "resume_writing": "7844bbaa8cce",
            "on_message_begin": "96d377fdc7c2",
            "on_headers_complete": "1ea8589acfad",
            "on_body": "dba9c32aeba3",
            "on_message_complete": "1fbad42dc31f",
            "on_response_complete": "64e254f28e38",
            "_start_asgi_task": "9c08c2571ae9",
            "_get_upgrade": "7b1305aac7b8",
            "_should_upgrade": "8fcad1ab8e09",
            "_unsupported_upgrade_warning": "55bbd2762b18",
            "handle_websocket_upgrade": "179c4f769386",
            "send_400_response": "ae5a4a3782b6",
            "_unset_keepalive_if_required": "00a6a4e47214",
            "shutdown": "d7351fa33f00",
        },
        RequestResponseCycle: {
            "__init__": "4d2f220910c3",
            "run_asgi": "0f33f2449a44",
            "receive": "8124ae006be7",
            "send": "abdd8601b326",
        },
    },
    LimitedWebSocket: {
        WebSocketsSansIOProtocol: {
            "__init__": "631dcd744eab",
            "connection_made": "f533ec93747c",
            "connection_lost": "dd116afc4d80",
            "data_received": "c89d394077d8",
            "pause_writing": "4830f7e0d81f",
            "resume_writing": "ef79384e5fff",
            "handle_connect": "fc648c2161ff",
            "handle_events": "b2c9351a5d13",
            "handle_cont": "d96fe1479da6",
            "handle_text": "6ae523180cf0",
            "handle_bytes": "2b22b21bf8fe",
            "handle_ping": "41bcf345d372",
            "handle_close": "62fd412b1f5b",
            "handle_parser_exception": "ff5cf13c764f",
            "send_receive_event_to_app": "a2b10de91477",
            "run_asgi": "662375aa38d9",
            "receive": "1dc0e7153900",
            "send": "d4919ed760ce",
            "shutdown": "e8ace796ada6",
        },
        Protocol: {
            "__init__": "76c731b216eb",
            "recv_frame": "4f83d3b90ea6",
            "events_received": "f448b353ee44",
            "data_to_send": "959589a5e74e",
            "fail": "924ae7075dc7",
        },
    },
    DrainingServer: {
        uvicorn.Server: {
            "__init__": "c150b55284f7",
            "serve": "112ef41af521",
            "shutdown": "9b33c5056299",
            "_wait_tasks_to_complete": "17209be1e991",
            "handle_exit": "553276efa26e",
        },
    },
}


def digest(owner: type, method: str) -> str:
    code = inspect.getattr_static(owner, method, None)
    if isinstance(code, property):
        code = code.fget
    return sha256(inspect.getsource(code).encode()).hexdigest()[:12] if isinstance(code, FunctionType) else "absent"


@pytest.mark.parametrize(
    ("ours", "owner", "method"),
    [(ours, owner, method) for ours, owners in READ.items() for owner, methods in owners.items() for method in methods],
)
def test_a_method_is_as_it_was_when_our_class_was_written(ours: Ours, owner: type, method: str) -> None:
    found = digest(owner, method)
    package = owner.__module__.partition(".")[0]
    assert found == READ[ours][owner][method], (
        f"{package} {version(package)} has changed {owner.__module__}.{owner.__name__}.{method}. "
        f"{ours.__module__}.{ours.__name__} was written against {ours.WRITTEN_AGAINST} and overrides or relies on it. "
        f"Read both again and run tests/server and tests/security. Then record {found!r} here, and the new version in "
        f"{ours.__name__}.WRITTEN_AGAINST."
    )


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDES.items())
def test_every_method_that_we_override_is_recorded(ours: Ours, theirs: type) -> None:
    own = [it for it in ours.__mro__ if it.__module__.startswith("app.")]
    overridden = {name for it in own for name in vars(it) if isinstance(vars(theirs).get(name), FunctionType)}
    assert overridden - {*READ[ours][theirs]} == set()
