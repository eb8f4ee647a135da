"""Migrations of the tables that the engine reads and writes with plain SQL."""
