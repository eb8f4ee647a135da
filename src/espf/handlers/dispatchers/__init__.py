"""The three dispatchers, as handlers like any other (domain, 4)."""
