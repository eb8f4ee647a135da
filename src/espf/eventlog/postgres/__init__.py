"""The event log on PostgreSQL 15 and newer: any number of instances, lanes leased to each."""
