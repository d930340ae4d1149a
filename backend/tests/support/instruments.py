"""Instruments for tests: the four cards, and two pairs that are paid for."""

from backend.app.venue.instruments import Instrument

CARDS = tuple(
    Instrument(number, f"CARD-{number}", f"Card {number}", "USD", 100, 100, 1000, 1)
    for number in range(1, 5)
)
BTC_USDT = Instrument(
    11,
    "BTC/USDT",
    "Bitcoin in Tether",
    "USDT",
    ticks_per_unit=100,
    price_ticks_min=1,
    price_ticks_max=10**9,
    order_lots_max=10**9,
    base_asset="BTC",
    lots_per_unit=100_000,
    maker_fee_ppm=1000,
    taker_fee_ppm=2000,
)
ETH_BTC = Instrument(
    12,
    "ETH/BTC",
    "Ether in bitcoins",
    "BTC",
    ticks_per_unit=100_000,
    price_ticks_min=1,
    price_ticks_max=10**9,
    order_lots_max=10**9,
    base_asset="ETH",
    lots_per_unit=10_000,
    maker_fee_ppm=500,
    taker_fee_ppm=1000,
)
