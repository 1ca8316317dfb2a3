"""The sources of the server's pages, and their build."""
