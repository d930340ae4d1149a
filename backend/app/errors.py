"""Every refusal the house can give, named as a fact.

A refusal carries what the caller may know and nothing else: no text of a library, a database or
an exchange. `routes/problems.py` is the only place that turns one into an answer.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class StrongroomError(Exception):
    """A refusal: something we decided, as opposed to a defect, which escapes.

    `detail` is a sentence for a person. `facts` are further public members of the answer, never
    a secret. `retry_after_seconds` becomes a Retry-After header.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        facts: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts = dict(facts or {})
        self.retry_after_seconds = retry_after_seconds


class ConfigurationError(Exception):
    """A setting is missing or damaged: the service does not start.

    The text names the variable, the expected form and the command that makes one, never the value.
    """


class AuditTrailBroken(Exception):
    """The audit trail is not as it was written. Nobody asked, so nobody is answered."""


class BadRequest(StrongroomError):
    """The request cannot be carried out as asked."""

    status = 400
    slug = "bad-request"
    title = "Bad request"


class Unauthenticated(StrongroomError):
    """Nobody, or nobody we know, is asking."""

    status = 401
    slug = "unauthenticated"
    title = "Sign in first"


class Forbidden(StrongroomError):
    """We know who is asking, and the role does not reach this far."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(StrongroomError):
    """Absent, or another's: the two are told alike."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(StrongroomError):
    """What is stored contradicts what is asked."""

    status = 409
    slug = "conflict"
    title = "Conflict"


class PayloadTooLarge(StrongroomError):
    """The body is longer than the house reads."""

    status = 413
    slug = "payload-too-large"
    title = "Body too large"


class Unprocessable(StrongroomError):
    """The request is well formed, but a field cannot be used."""

    status = 422
    slug = "validation"
    title = "A field cannot be used"


class TooManyRequests(StrongroomError):
    """Asked more often than allowed."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"


class Unavailable(StrongroomError):
    """Something we stand on is away or full; asking again later is right."""

    status = 503
    slug = "unavailable"
    title = "Not available at the moment"


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer, or every connection stayed busy."""

    slug = "database-unavailable"
    title = "The database is not available"


class AuditUnavailable(Unavailable):
    """The use of a secret could not be recorded, so the secret stays closed."""

    slug = "audit-unavailable"
    title = "The audit trail cannot be written"


class VaultSealed(Unavailable):
    """The keys are not in memory: not yet, or not any more."""

    slug = "vault-sealed"
    title = "The vault is sealed"


class VaultUnavailable(Unavailable):
    """What holds the root key is away, slow or refuses, or the key at hand may seal no more."""

    slug = "vault-unavailable"
    title = "The vault's key is not available"


class KeyUnknown(NotFound):
    """This database has met no root key of that name."""

    slug = "key-unknown"
    title = "No such root key"


class KeyNotAtHand(Conflict):
    """The configuration of whoever asks does not hold this root key."""

    slug = "key-not-at-hand"
    title = "This root key is not configured here"


class KeyNotEverywhere(Conflict):
    """A running instance could not open what another would seal with this root key."""

    slug = "key-not-everywhere"
    title = "Not every instance holds this root key"


class KeyInUse(Conflict):
    """A root key that seals, or that something stored still needs, stays."""

    slug = "key-in-use"
    title = "This root key is in use"


class KeyRetired(Conflict):
    """A root key that was retired seals no more."""

    slug = "key-retired"
    title = "This root key is retired"


class RewrapRunning(Conflict):
    """Another process is rewrapping, or was until a moment ago."""

    slug = "rewrap-running"
    title = "A rewrap is running"


class CredentialNotFound(NotFound):
    """No such credential, or another user's."""

    slug = "credential-not-found"
    title = "No such credential"


class CredentialExists(Conflict):
    """The same user has bound the same key of the same exchange already."""

    slug = "credential-exists"
    title = "This key is bound already"


class CredentialChanged(Conflict):
    """The credential was replaced or deleted while we were using it."""

    slug = "credential-changed"
    title = "Credential changed meanwhile"


class RotationPending(Conflict):
    """A key pair waits already; it is tried again or dropped before another may come."""

    slug = "rotation-pending"
    title = "A rotation is pending"


class RotationRightsSmaller(Conflict):
    """The new key may do less than the one in use; `missing` says what. It stays pending."""

    slug = "rotation-rights-smaller"
    title = "The new key may do less"


class KeyVersionNotFound(NotFound):
    """No key pair of this credential is pending, or none is kept from before."""

    slug = "key-version-not-found"
    title = "No such key pair"


class TooManyCredentials(Conflict):
    """The user holds as many credentials as one user may."""

    slug = "too-many-credentials"
    title = "No room for another credential"


class CredentialOfOtherEnvironment(Conflict):
    """A sandbox key asked to reach a live exchange, or the other way round."""

    slug = "credential-of-other-environment"
    title = "This key belongs to the other environment"


class CredentialRefused(BadRequest):
    """The exchange refused the key; `facts` say the reason and the advice."""

    slug = "credential-refused"
    title = "The exchange refused this key"


class KeyCanWithdraw(BadRequest):
    """The key may take money out, and the request does not say that this is meant."""

    slug = "withdrawal-enabled"
    title = "This key can withdraw"


class TransferRefused(Unprocessable):
    """An export is not for us or not as it was written, or there is nothing to export."""

    slug = "transfer-refused"
    title = "The transfer cannot be carried out"


class NotificationNotFound(NotFound):
    """No such notification, or another user's."""

    slug = "notification-not-found"
    title = "No such notification"


class InternalDoorClosed(Unavailable):
    """No internal key is set here, so nobody can show the right one."""

    slug = "internal-door-closed"
    title = "This service has no internal key"


class InternalKeyRefused(Forbidden):
    """The internal key shown is not the one of this installation."""

    slug = "internal-key-refused"
    title = "Wrong internal key"


class SymbolUnknown(NotFound):
    """No market of that name is kept here; `near` names those that look like it."""

    slug = "symbol-unknown"
    title = "No such symbol"


class PriceUnknown(NotFound):
    """The symbol is known, but no source has ever told a price of it that was believed."""

    slug = "price-unknown"
    title = "No price is known yet"


class AssetUnknown(NotFound):
    """No symbol that is kept here trades this asset."""

    slug = "asset-unknown"
    title = "No such asset"


class MarketDataUnavailable(Unavailable):
    """No source has answered yet, so there is nothing to tell and nothing is made up."""

    slug = "market-data-unavailable"
    title = "No market data yet"


class CandleRangeRefused(Unprocessable):
    """The span asked for is empty, too long, or of a time that is not kept."""

    slug = "candle-range"
    title = "No candles of this span"


class OriginRefused(Forbidden):
    """A page of a foreign origin asked for a WebSocket."""

    slug = "origin-refused"
    title = "Not from this origin"


class TooManyTickets(TooManyRequests):
    """As many tickets of the user wait to be used as one user may have."""

    slug = "too-many-tickets"
    title = "Too many unused tickets"


class FrameMalformed(BadRequest):
    """A frame of the live channel is not one of its protocol."""

    slug = "frame-malformed"
    title = "Not a frame of this protocol"


class ChannelUnknown(NotFound):
    """No live channel of that name."""

    slug = "channel-unknown"
    title = "No such channel"


class AlreadySubscribed(Conflict):
    """This connection listens to the channel already."""

    slug = "already-subscribed"
    title = "Already subscribed"


class NotSubscribed(Conflict):
    """This connection does not listen to the channel."""

    slug = "not-subscribed"
    title = "Not subscribed"


class TooManySubscriptions(Conflict):
    """This connection listens to as many channels as one may."""

    slug = "too-many-subscriptions"
    title = "No room for another subscription"


class PriceAlertNotFound(NotFound):
    """No such price alert, or another user's."""

    slug = "price-alert-not-found"
    title = "No such price alert"


class PriceAlertAlreadyTrue(Conflict):
    """The price is where the alert waits for it to go; `price` and `as_of` say so."""

    slug = "price-alert-already-true"
    title = "The price is there already"


class TooManyPriceAlerts(Conflict):
    """The user has as many price alerts as one user may have."""

    slug = "too-many-price-alerts"
    title = "Too many price alerts"


class WebhookNotFound(NotFound):
    """No such webhook, or another user's."""

    slug = "webhook-not-found"
    title = "No such webhook"


class WebhookAddressRefused(Unprocessable):
    """The address leads nowhere a webhook may: not public, or not encrypted."""

    slug = "webhook-address-refused"
    title = "This address cannot be used"


class WebhookDisabledNow(Conflict):
    """The webhook is disabled, so nothing is sent to it."""

    slug = "webhook-disabled"
    title = "The webhook is disabled"


class TooManyWebhooks(Conflict):
    """The user has as many webhooks as one user may have."""

    slug = "too-many-webhooks"
    title = "Too many webhooks"


class CardUnknown(NotFound):
    """The card market has no such card."""

    slug = "card-unknown"
    title = "No such card"


class OrderNotFound(NotFound):
    """No such order, or another trader's."""

    slug = "order-not-found"
    title = "No such order"


class OrderRefused(Unprocessable):
    """The order breaks a rule of its instrument; `rule` says which. Nothing has changed."""

    slug = "order-refused"
    title = "The order breaks a rule"


class FundsTransferRefused(Unprocessable):
    """The transfer of test funds breaks a rule; `rule` says which. Nothing has changed."""

    slug = "funds-transfer-refused"
    title = "The transfer breaks a rule"


class NoTestFunds(Forbidden):
    """Test funds come and go in a rehearsal only."""

    slug = "no-test-funds"
    title = "There are no test funds here"


class ClientOrderIdTaken(Conflict):
    """The trader has placed another order under this id of theirs."""

    slug = "client-order-id-taken"
    title = "This id names another order"


class TransferReferenceTaken(Conflict):
    """The account has moved another amount under this reference."""

    slug = "transfer-reference-taken"
    title = "This reference names another transfer"


class InsufficientFunds(Conflict):
    """The account has not enough available for this; nothing has changed."""

    slug = "insufficient-funds"
    title = "Not enough is available"


class OrderNotOpen(Conflict):
    """There is nothing of the order left to cancel; to the venue a stranger's is such a one too."""

    slug = "order-not-open"
    title = "The order is not open"


class PostOnlyWouldTake(Conflict):
    """A post-only order that would have traded at once; nothing was placed."""

    slug = "post-only-would-take"
    title = "The order would trade at once"


class TooManyOpenOrders(Conflict):
    """The account has as many open orders as it may; nothing was placed."""

    slug = "too-many-open-orders"
    title = "Too many open orders"


class EngineElsewhere(Unavailable):
    """This process does not lead the market now; nothing was placed."""

    slug = "engine-elsewhere"
    title = "The engine is not here"


class VenueBusy(Unavailable):
    """As many orders wait as may; nothing was placed."""

    slug = "venue-busy"
    title = "Too many orders at once"


class OrderOutcomeUnknown(Unavailable):
    """The commit was not acknowledged: the order may have been placed, or not."""

    slug = "order-outcome-unknown"
    title = "It is not known whether the order was placed"


class CredentialUnreadable(Unavailable):
    """A sealed secret does not open under its own context: damaged, moved or foreign."""

    slug = "credential-unreadable"
    title = "The stored secret cannot be opened"


class ExchangeUnreachable(Unavailable):
    """The exchange gave no verdict: away, slow, under maintenance, or not itself."""

    slug = "exchange-unreachable"
    title = "The exchange gave no usable answer"


class ExchangeThrottled(TooManyRequests):
    """The exchange throttles us; what we knew before still stands."""

    slug = "exchange-throttled"
    title = "The exchange asks us to slow down"


class ExchangeUnknown(Unprocessable):
    """The name is none of the eight, nor an alias of one."""

    slug = "exchange-unknown"
    title = "Unknown exchange"


class LoginRefused(Unauthenticated):
    """Name and password do not belong together; which of them is wrong stays untold."""

    slug = "login-refused"
    title = "Wrong name or password"


class LoginDelayed(TooManyRequests):
    """Too many failed logins under one name: the next one has to wait."""

    slug = "login-delayed"
    title = "Too many failed logins"


class RequestsThrottled(TooManyRequests):
    """Somebody asks more often, in all, than this installation allows."""

    slug = "requests-throttled"
    title = "Too many requests"


class AddressThrottled(TooManyRequests):
    """One network address asks to sign in or register too often."""

    slug = "address-throttled"
    title = "Too many attempts from this address"


class RefreshRefused(Unauthenticated):
    """The refresh token is unknown, spent, expired or revoked."""

    slug = "refresh-refused"
    title = "Sign in again"


class SignatureRefused(Unauthenticated):
    """A platform key that signs its requests came without a signature we accept."""

    slug = "signature-refused"
    title = "The request is not signed as it should be"


class KeyScopeMissing(Forbidden):
    """The platform key lacks the scope this route asks for; `scope` says which."""

    slug = "key-scope-missing"
    title = "This key may not do that"


class SessionNeeded(Forbidden):
    """Only a person who signed in may do this; no platform key may, whatever its scopes."""

    slug = "session-needed"
    title = "Not with a platform key"


class ApiKeyNotFound(NotFound):
    """No such platform key, another user's, or revoked already."""

    slug = "api-key-not-found"
    title = "No such platform key"


class TooManyApiKeys(Conflict):
    """The user holds as many platform keys as one user may."""

    slug = "too-many-api-keys"
    title = "No room for another platform key"


class PasswordRefused(Unprocessable):
    """The new password is too easy to guess."""

    slug = "password-refused"
    title = "This password is too easy to guess"


class PasswordWrong(BadRequest):
    """The current password given with a change is not the current password."""

    slug = "password-wrong"
    title = "The current password is wrong"


class PasswordQueueFull(Unavailable):
    """More passwords wait to be checked than the house lets wait."""

    slug = "password-queue-full"
    title = "Too many logins at once"


class UserNotFound(NotFound):
    """No such user."""

    slug = "user-not-found"
    title = "No such user"


class UserExists(Conflict):
    """The name or the e-mail address belongs to somebody; which of them stays untold."""

    slug = "user-exists"
    title = "Name or e-mail address already taken"


class LastAdministrator(Conflict):
    """Without this user nobody could administer the house."""

    slug = "last-administrator"
    title = "The last active administrator stays"


class UserOnTheBooks(Conflict):
    """The ledger holds an account of this user: what happened to money is not deleted."""

    slug = "user-on-the-books"
    title = "This user stays on the books"


class IdempotencyKeyMissing(BadRequest):
    """What moves money asks for a usable Idempotency-Key, and there was none."""

    slug = "idempotency-key-missing"
    title = "An Idempotency-Key is needed"


class IdempotencyKeyReused(Unprocessable):
    """The same Idempotency-Key came before, with something else to do."""

    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was used for something else"


class IdempotencyInProgress(Conflict):
    """The same request, under the same Idempotency-Key, is under way."""

    slug = "idempotency-in-progress"
    title = "The same request is under way"


class MerchantNotFound(NotFound):
    """No such merchant."""

    slug = "merchant-not-found"
    title = "No such merchant"


class MerchantNotPending(Conflict):
    """The merchant was approved already."""

    slug = "merchant-not-pending"
    title = "This merchant was approved already"


class MerchantNotActive(Conflict):
    """Not approved yet, suspended, or no merchant; `merchant_state` says which."""

    slug = "merchant-not-active"
    title = "Not an active merchant"


class CreditExceeded(Conflict):
    """The merchant's credit does not cover this; `available` says what it does."""

    slug = "credit-exceeded"
    title = "The credit does not cover this"


class CreditLimitBelowUse(Conflict):
    """More than the new limit is drawn already; `utilised` says how much."""

    slug = "credit-limit-below-use"
    title = "More than that is drawn already"


class PoolNotFound(NotFound):
    """No pool of that name."""

    slug = "pool-not-found"
    title = "No such pool"


class PoolExists(Conflict):
    """There is a pool of that name."""

    slug = "pool-exists"
    title = "There is such a pool already"


class TooManyPools(Conflict):
    """There are as many pools as the house keeps."""

    slug = "too-many-pools"
    title = "No room for another pool"


class PoolShort(Conflict):
    """The pool behind it does not hold as much."""

    slug = "pool-short"
    title = "The pool does not cover this"


class WithdrawalNotFound(NotFound):
    """No such withdrawal, or another merchant's."""

    slug = "withdrawal-not-found"
    title = "No such withdrawal"


class WithdrawalDecided(Conflict):
    """The withdrawal was settled or given back, which stays so."""

    slug = "withdrawal-decided"
    title = "This withdrawal is decided"


class WithdrawalQueueFull(Unavailable):
    """More withdrawals wait to be booked than the house lets wait, or one waited too long."""

    slug = "withdrawal-queue-full"
    title = "Too many withdrawals at once"


class PayoutRefused(Unprocessable):
    """The bank will never pay this out; credit and pool have it back. `reason` is its word."""

    slug = "payout-refused"
    title = "The bank refuses this payout"


class SettlementNotFound(NotFound):
    """The bank was never told of this withdrawal."""

    slug = "settlement-not-found"
    title = "No such settlement"


class SettlementContradicted(Conflict):
    """The bank was told something else under this withdrawal's id."""

    slug = "settlement-contradicted"
    title = "This withdrawal was another one"


class SettlementNotGivenUp(Conflict):
    """The withdrawal is decided, or is being tried anyway."""

    slug = "settlement-not-given-up"
    title = "This withdrawal waits for nobody"
