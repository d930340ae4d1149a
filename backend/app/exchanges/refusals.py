"""What a refusal means in a sentence, and what a person can do about it."""

from collections.abc import Mapping

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import ExchangeId, profile

_SENTENCES: Mapping[Reason, str] = {
    Reason.INVALID_KEY: "The exchange does not know this API key.",
    Reason.BAD_SIGNATURE: "The API secret does not belong to this API key.",
    Reason.WRONG_PASSPHRASE: "The passphrase does not belong to this API key.",
    Reason.KEY_EXPIRED: "The API key has expired.",
    Reason.IP_NOT_ALLOWED: "The API key may not be used from this server's address.",
    Reason.PERMISSION_MISSING: "The API key lacks a right that was needed.",
    Reason.ACCOUNT_RESTRICTED: "The exchange has restricted this account.",
    Reason.REGION_RESTRICTED: "The exchange does not serve the place this server is in.",
    Reason.WRONG_ENVIRONMENT: "The API key belongs to another environment of the exchange.",
    Reason.AMBIGUOUS_CREDENTIALS: (
        "The exchange refused the API key without saying whether the key, the address or a right "
        "is the cause."
    ),
    Reason.CLOCK_SKEW: "The exchange found the time of the request too far from its own.",
    Reason.RATE_LIMITED: "The exchange asks us to slow down.",
    Reason.EXCHANGE_UNAVAILABLE: "The exchange is not available at the moment.",
    Reason.UNKNOWN: "The exchange refused for a reason we do not know.",
}

_NONE_NEEDED = "{name} keys have no passphrase. Leave the passphrase empty and try again."

_ADVICE: Mapping[Reason, str] = {
    Reason.INVALID_KEY: (
        "The key was deleted or not copied completely. Copy it again from {page}, or make a new "
        "one there."
    ),
    Reason.BAD_SIGNATURE: (
        "{name} shows a secret only once, when its key is made. If you no longer have it, make a "
        "new key at {page} and enter both parts."
    ),
    Reason.WRONG_PASSPHRASE: (
        "The passphrase is the one you chose when you made this key, not your {name} password. "
        "It cannot be read again: if it is lost, make a new key at {page}."
    ),
    Reason.KEY_EXPIRED: "Make a new key at {page} and replace this one.",
    Reason.IP_NOT_ALLOWED: "Add {address} to the addresses this key is bound to, at {page}.",
    Reason.PERMISSION_MISSING: (
        "Tick {rights} for this key at {page}. No right to withdraw is needed."
    ),
    Reason.ACCOUNT_RESTRICTED: (
        "Sign in to {name} and follow its notice, or ask its support. A new key will not help."
    ),
    Reason.REGION_RESTRICTED: (
        "A new key will not help. {name} must serve both you and the place this server runs in."
    ),
    Reason.WRONG_ENVIRONMENT: (
        "Live and demo keys are not interchangeable. Make a key in the environment you want to "
        "use, or bind this one to its own environment."
    ),
    Reason.AMBIGUOUS_CREDENTIALS: (
        "Check three things at {page}: that the key exists and was copied completely, that its "
        "address list is empty or holds {address}, and that {rights} are ticked."
    ),
    Reason.CLOCK_SKEW: (
        "Nothing is said about the key. The operator of this server should check that its clock "
        "is synchronised; then try again."
    ),
    Reason.RATE_LIMITED: "Nothing is said about the key. Wait a minute, then try again.",
    Reason.EXCHANGE_UNAVAILABLE: (
        "Nothing is said about the key. Try again in a few minutes, or look at {name}'s notices."
    ),
    Reason.UNKNOWN: (
        "Nothing is said about the key. Try again; if it stays, look the exchange's code up in "
        "{name}'s documentation."
    ),
}

_UNBOUND_KEYS_END = (
    "A {name} key that is bound to no address ends after 90 days. Make a new key at {page} and "
    "bind it to {address}."
)

# Where an exchange differs from the rule in a way its owner's next step depends on.
_OWN_ADVICE: Mapping[tuple[ExchangeId, Reason], str] = {
    (ExchangeId.BINANCE, Reason.AMBIGUOUS_CREDENTIALS): (
        "Binance gives one answer for three causes. Check at {page} that the key still exists and "
        "was copied completely, that its address list is unrestricted or holds {address}, and "
        "that {rights} are ticked."
    ),
    (ExchangeId.BINANCE, Reason.INVALID_KEY): (
        "The key was not copied completely, was deleted, or belongs to Binance's testnet or demo. "
        "Copy it again from {page}, or make a new one there."
    ),
    (ExchangeId.OKX, Reason.INVALID_KEY): (
        "The key was deleted, has expired, was not copied completely, or was made on a regional "
        "OKX site. Copy it again from {page}, or make a new one there."
    ),
    (ExchangeId.OKX, Reason.PERMISSION_MISSING): (
        "Tick {rights} for this key at {page}; some functions also need the key to be bound to "
        "{address}. No right to withdraw is needed."
    ),
    (ExchangeId.BYBIT, Reason.INVALID_KEY): (
        "The key was deleted, was not copied completely, or belongs to Bybit's testnet or demo. "
        "Copy it again from {page}, or make a new one there."
    ),
    (ExchangeId.BYBIT, Reason.KEY_EXPIRED): _UNBOUND_KEYS_END,
    (ExchangeId.HTX, Reason.KEY_EXPIRED): _UNBOUND_KEYS_END,
    (ExchangeId.GATE, Reason.KEY_EXPIRED): _UNBOUND_KEYS_END,
    (ExchangeId.MEXC, Reason.KEY_EXPIRED): _UNBOUND_KEYS_END,
    (ExchangeId.KUCOIN, Reason.INVALID_KEY): (
        "The key was not copied completely, was made on another KuCoin site, or was deleted: "
        "KuCoin deletes trading keys bound to no address after 30 days without use. Copy it again "
        "from {page}, or make a new one there."
    ),
    (ExchangeId.KUCOIN, Reason.WRONG_PASSPHRASE): (
        "Check the passphrase you chose for this key, and the secret too: KuCoin's passphrase "
        "travels signed with the secret, so a wrong secret looks the same. If one is lost, make a "
        "new key at {page}."
    ),
    (ExchangeId.MEXC, Reason.INVALID_KEY): (
        "The key was deleted, has expired, was not copied completely, or was made for futures "
        "only. Copy it again from {page}, or make a new one there."
    ),
}


def sentence(reason: Reason) -> str:
    """Return what a refusal means, in one sentence for a person."""
    return _SENTENCES[reason]


def advice(exchange: str, reason: Reason, seen_address: str | None = None) -> str:
    """Return what a person can do about a refusal at this exchange, in a sentence or two.

    Raises:
        ExchangeUnknown: the name is none of the eight, nor an alias of one.
    """
    about = profile(exchange)
    words = _OWN_ADVICE.get((about.exchange, reason), _ADVICE[reason])
    if reason is Reason.WRONG_PASSPHRASE and not about.needs_passphrase:
        words = _NONE_NEEDED
    return words.format(
        name=about.name,
        page=about.key_page,
        rights=" and ".join(f'"{right}"' for right in about.rights_to_tick),
        address=seen_address or "the public address of this server",
    )
