"""Metrics and health: what instances count, what the database shows, and who is told."""
