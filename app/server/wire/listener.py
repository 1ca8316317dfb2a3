"""The listening socket."""

import socket


def listen(host: str = "127.0.0.1", port: int = 8000, unread: float = 20) -> socket.socket:
    """Bound and listening; port 0 takes a free one. `unread`: seconds after which a peer that takes nothing is cut.

    The kernel does that (TCP_USER_TIMEOUT, inherited by each accepted connection; Linux only). A server that merely
    closes such a connection, as uvicorn does, waits for ever for what it has written to leave. See also `patience.py`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(unread * 1000))
    return listener
