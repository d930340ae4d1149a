"""Doing once what is asked twice."""
