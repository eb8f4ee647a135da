"""Event handlers: each takes an event to one external system. One folder a handler type."""
