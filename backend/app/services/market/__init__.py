"""Prices, candles and what they stand on."""
