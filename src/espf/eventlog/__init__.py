"""The event log: what happened, how far each handler has come, and what was tried."""
