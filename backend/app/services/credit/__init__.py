"""Merchants, and the pools behind their credit."""
