"""How much of the server one client may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Times are in seconds. What belongs to the schema (depth, cost, budgets) is not here."""

    connections: int = 20_000  # of everybody; beyond them new ones are closed
    head_bytes: int = 65_536  # of a request before its body
    head_timeout: float = 10  # from the opening of a connection, or a request's first byte, to the end of its head
    pipelined: int = 16  # requests on a connection that wait until an earlier one has its answer
    body_bytes: int = 100_000  # of an HTTP body, and of a WebSocket message
    execution_timeout: float = 30  # of a query or a mutation, and of the arrival of an HTTP body
    send_timeout: float = 30  # how long a client may leave its answers unread
    init_timeout: float = 10  # from the opening of a WebSocket to its connection_init
    idle_frames: int = 1_000  # on a WebSocket at once, that are no message, and pieces of one message
    operations_per_socket: int = 100
    operation_id_length: int = 255
    sockets_per_customer: int = 2_000  # and event streams, here and in the next
    sockets_per_address: int = 2_000
    subscriptions_per_customer: int = 10_000
    mutations_per_customer: int = 1_000  # that run or wait; one goes on when its client has left
    heartbeat: float = 12  # between signs of life on an event stream
    allowed_origins: tuple[str, ...] = ()  # of pages on other origins, by CORS and on WebSockets
    loopback_origins: bool = False  # whether pages that this machine serves may call, too, on any port
    allow_get: bool = True  # of queries and event streams
    # Status codes of the GraphQL-over-HTTP draft of 2026 (422, 294) instead of those that the audit suite asks for.
    draft: bool = False
