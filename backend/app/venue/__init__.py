"""The matching core: pure, deterministic, in whole ticks and lots.

No I/O, no clock, no randomness, no async: what comes out follows from what went in, and from
nothing else. Time and ids come in with the commands.
"""
