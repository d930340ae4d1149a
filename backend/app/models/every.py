"""All tables at once, for whoever needs the whole schema: migrations and the tests of them."""

import re
from typing import Any

from backend.app.models.api_credential import ApiCredential
from backend.app.models.api_key import ApiKey, ApiKeyNonce
from backend.app.models.api_request_log import ApiRequestLog
from backend.app.models.audit_event import AuditAnchor, AuditChainHead, AuditEvent
from backend.app.models.auth_session import AuthSession
from backend.app.models.base import Base
from backend.app.models.candle import Candle, CandleBackfill, Tick
from backend.app.models.channel import ChannelHead, ChannelMessage
from backend.app.models.credential_check import CredentialCheck
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.models.dek import Dek
from backend.app.models.idempotency_key import IdempotencyKey
from backend.app.models.instance_key import InstanceKey
from backend.app.models.kek import Kek
from backend.app.models.key_rewrap import KeyRewrap
from backend.app.models.latest_price import LatestPrice
from backend.app.models.ledger import LedgerAccount, LedgerLine, LedgerMovement
from backend.app.models.login_throttle import LoginThrottle
from backend.app.models.market_reference import Asset, ExchangeInfo, Symbol
from backend.app.models.merchant import Merchant
from backend.app.models.notification_event import NotificationEvent
from backend.app.models.price_alert import PriceAlert, PriceNews
from backend.app.models.refresh_token import RefreshToken
from backend.app.models.settlement import Settlement
from backend.app.models.user import User
from backend.app.models.venue import (
    Fill,
    Instrument,
    Order,
    Trade,
    VenueAccount,
    VenueEpoch,
    VenueFeedPlace,
    VenueJournalEntry,
    VenueSnapshot,
    VenueTransfer,
)
from backend.app.models.webhook import Webhook, WebhookDelivery, WebhookSecret
from backend.app.models.websocket_ticket import WebsocketTicket
from backend.app.models.withdrawal import Withdrawal

TABLES = (
    User,
    AuthSession,
    RefreshToken,
    LoginThrottle,
    Kek,
    InstanceKey,
    KeyRewrap,
    Dek,
    ApiCredential,
    CredentialCheck,
    CredentialKeyVersion,
    NotificationEvent,
    ApiKey,
    ApiKeyNonce,
    AuditEvent,
    AuditChainHead,
    AuditAnchor,
    Asset,
    Symbol,
    ExchangeInfo,
    LatestPrice,
    ChannelHead,
    ChannelMessage,
    WebsocketTicket,
    PriceAlert,
    PriceNews,
    Webhook,
    WebhookSecret,
    WebhookDelivery,
    Tick,
    Candle,
    CandleBackfill,
    LedgerAccount,
    LedgerMovement,
    LedgerLine,
    Merchant,
    Withdrawal,
    IdempotencyKey,
    Settlement,
    ApiRequestLog,
    Instrument,
    VenueEpoch,
    VenueJournalEntry,
    Order,
    Trade,
    Fill,
    VenueTransfer,
    VenueFeedPlace,
    VenueSnapshot,
    VenueAccount,
)
METADATA = Base.metadata

_PARTITION = re.compile(r"(ticks|candles|api_request_log)_.+")


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Leave partitions out when Alembic compares: they come and go with time (`include_name`)."""
    return kind != "table" or name is None or _PARTITION.fullmatch(name) is None
