"""Paying out: the way to the settlement, what is sent there, and when it is tried again."""
