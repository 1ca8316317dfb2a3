"""GraphQL over HTTP, WebSocket and server-sent events: what messages mean."""
