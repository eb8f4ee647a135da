"""The way out: our HTTP client, request signing, and what an answer means."""
