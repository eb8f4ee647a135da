"""Django's settings, and how a process starts Django."""
