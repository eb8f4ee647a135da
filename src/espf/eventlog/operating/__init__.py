"""What operators do with the event log, on either engine: the same steps on a `Session`."""
