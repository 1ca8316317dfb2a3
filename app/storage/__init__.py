"""Storage: the SQLModel tables, and the queries. Each file is named by its noun, each function is one query."""
