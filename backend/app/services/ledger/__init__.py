"""The ledger: reading it, and proving it."""
