"""How long a page of a list is."""

PAGE = 20
"""When it is asked for no size."""
MOST = 100
