"""The life of a transfer, in values and pure functions."""
