"""Capture: database triggers that write an event in the transaction of the change itself."""
