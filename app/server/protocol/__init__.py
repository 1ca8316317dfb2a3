"""GraphQL over HTTP, WebSocket and server-sent events: the meaning of messages."""
