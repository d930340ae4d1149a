"""How many examples a dear property tries: few in the fast tests, many in `make laws`."""

from hypothesis import settings


def one_in(share: int) -> int:
    """Return this part of what a cheap property tries."""
    return max(1, settings().max_examples // share)
