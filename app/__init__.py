"""A GraphQL API server for call transfers."""
