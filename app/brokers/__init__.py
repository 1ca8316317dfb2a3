"""Brokers: wake-ups from writers to subscribers. Each file is one adapter."""
