"""uvicorn, and what bytes and connections may do."""
