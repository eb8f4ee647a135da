"""PyHSS: subscribers on a PyHSS, over its REST API (domain, 6.5)."""
