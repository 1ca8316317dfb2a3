"""Documents, and the executors that run their operations."""
