"""The history of the tables, configured in code."""
