"""The ASGI side: GraphQL over HTTP, WebSocket and SSE, sign-in, GraphiQL, health."""
