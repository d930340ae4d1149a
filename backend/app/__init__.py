"""Strongroom: a vault for exchange keys and the house around it."""
