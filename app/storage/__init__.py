"""SQLModel tables, and one file a noun with one function a question."""
