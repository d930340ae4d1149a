"""A secret in memory that cannot leak by accident.

Source: docs/ARCHITECTURE.md, "Secrets in memory". Python cannot promise that plaintext is wiped;
what it can promise is that printing, comparing, copying or pickling a secret shows nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

_HIDDEN: Final = "SecretValue(hidden)"


class SecretValue:
    """Plaintext that shows itself only inside `with secret.reveal() as raw:`.

    Only the connector and the vault may call `reveal`; `make check` holds that.
    """

    __slots__ = ("__raw",)

    def __init__(self, raw: str) -> None:
        self.__raw = raw

    @contextmanager
    def reveal(self) -> Iterator[str]:
        """Yield the plaintext for one expression."""
        yield self.__raw

    def __repr__(self) -> str:
        return _HIDDEN

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return _HIDDEN

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("secrets are not compared")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("secrets are not copied")

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("secrets are not copied")
