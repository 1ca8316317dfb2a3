"""The limits that keep one client from taking the whole server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Limits of bytes, connections and time. The limits of documents (depth, cost) are in `app.api.metering.limits`.

    Times are in seconds. A field that an operator can set has the name of its setting, and the default stands here.
    """

    connections: int = 20_000
    """Most open connections of the process. A further connection is closed at once."""
    address_connections: int = 2_000
    """Most WebSockets and event streams of one client address. The same limit applies, separately, to its plain HTTP
    connections."""
    customer_connections: int = 2_000
    """Most WebSockets and event streams of one customer."""
    customer_subscriptions: int = 10_000
    """Most running subscriptions of one customer, on all its connections."""
    customer_mutations: int = 1_000
    """Most running or waiting mutations of one customer. A mutation still counts after its client has left."""

    head_bytes: int = 65_536
    """Most bytes of a request's head."""
    head_timeout: float = 10
    """Longest time from the opening of a connection, or from a request's first byte, to the end of the head."""
    pipelined: int = 16
    """Most requests on one connection that wait for the answer to an earlier one."""
    body_bytes: int = 100_000
    """Most bytes of an HTTP body or of a WebSocket message."""
    operation_seconds: float = 30
    """Longest time that a query or a mutation runs. The same limit applies, before that, to reading the HTTP body."""
    send_timeout: float = 30
    """Longest time that a client may leave the write buffer of its connection full."""
    heartbeat: float = 12
    """Time between two keep-alive comments on an event stream."""

    init_timeout: float = 10
    """Longest time from the opening of a WebSocket to its `connection_init`."""
    idle_frames: int = 1_000
    """Most frames on a WebSocket that arrive at once without a message, and most fragments of one message."""
    operations_per_socket: int = 100
    """Most operations that run at once on one WebSocket."""
    operation_id_length: int = 255
    """Most characters of an operation's id on a WebSocket."""

    allowed_origins: tuple[str, ...] = ()
    """Other origins whose pages may send requests (CORS) and open WebSockets. `"*"` stands for every origin."""
    loopback_origins: bool = False
    """Whether pages of loopback origins, on any port, may do so too."""
    allow_get: bool = True
    """Whether queries and event streams may be requested by GET."""
    http_draft: bool = False
    """Whether to use the status codes of the 2026 draft of GraphQL over HTTP (422, 294). The default is the codes that
    the audit suite `graphql-http` requires."""
