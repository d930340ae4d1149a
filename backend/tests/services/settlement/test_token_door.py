"""The door of the settlement: one token, two while it rotates, never a feeble one."""

import pytest
from pydantic import SecretStr

from backend.app.errors import ConfigurationError, InternalKeyRefused, Unauthenticated
from backend.app.services.settlement.token_door import TokenDoor, settlement_tokens
from backend.tests.support.settlement_house import new_token


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        " , ",
        "short",
        f"{'x' * 32},short",
        f"{'x' * 31}",
        f"{'ü' * 32}",
        ",".join(["a" * 32, "b" * 32, "c" * 32]),
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(written: str | None) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        settlement_tokens(None if written is None else SecretStr(written))

    assert "SETTLEMENT_TOKEN" in str(refusal.value)
    assert "x" * 32 not in str(refusal.value)


def test_during_a_rotation_both_tokens_open_and_the_first_is_shown() -> None:
    new, old = new_token(), new_token()
    tokens = settlement_tokens(SecretStr(f"{new}, {old}"))
    door = TokenDoor(tokens)

    door.admit(new)
    door.admit(old)

    assert tokens[0].decode() == new


@pytest.mark.parametrize("presented", ["", "wrong", "x" * 64, "ü" * 64])
def test_another_token_is_refused(presented: str) -> None:
    door = TokenDoor(settlement_tokens(SecretStr(new_token())))

    with pytest.raises(InternalKeyRefused):
        door.admit(presented)


def test_without_a_token_nobody_is_known() -> None:
    with pytest.raises(Unauthenticated):
        TokenDoor(settlement_tokens(SecretStr(new_token()))).admit(None)
