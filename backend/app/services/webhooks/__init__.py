"""Telling addresses that people gave: which may be reached, how a message gets there, and when."""
