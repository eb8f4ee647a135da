"""Derives events of accounts from what happens to their customer or product (domain, 4)."""
