"""The engine: reads lanes, delivers in order, retries, settles. Imports no Django."""
