"""The event log on SQLite: WAL, `synchronous=FULL`, one engine writer."""
