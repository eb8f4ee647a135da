"""Event types: the catalogue, the patterns that select types, and the payloads sent."""
