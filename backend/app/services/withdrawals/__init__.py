"""Drawing on a pool, and what becomes of it."""
