"""The public schema and its resolvers."""
