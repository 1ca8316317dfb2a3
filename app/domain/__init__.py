"""The life of a transfer, as values and pure functions: no I/O, no clock."""
