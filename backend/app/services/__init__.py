"""Use cases that own their transactions, and the tools beneath them."""
