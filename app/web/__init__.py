"""The sources of the pages that the server shows, and what builds them."""
