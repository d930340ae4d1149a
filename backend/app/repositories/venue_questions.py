"""What a sound ledger says of the venue's money: questions it answers with nothing."""

from typing import Final

# What an order locks: a buy its price for each lot that is left, a sell the lots themselves.
_LOCKED: Final = """
    SELECT coalesce(a.id, 0), 'locked', NULL,
        'of venue account ' || coalesce(a.venue_account_id, o.account_id)
        || ' in ' || coalesce(a.asset, o.asset),
        coalesce(a.balance, 0), coalesce(o.amount, 0)
    FROM (SELECT * FROM ledger_accounts WHERE kind = 'locked') AS a
    FULL JOIN (
        SELECT account_id, CASE side WHEN 'buy' THEN quote_asset ELSE base_asset END AS asset,
            sum((quantity - executed_quantity) * CASE side
                WHEN 'buy' THEN price::numeric / (ticks_per_unit * lots_per_unit)
                ELSE 1::numeric / lots_per_unit END) AS amount
        FROM orders JOIN instruments ON instruments.id = instrument_id
        WHERE base_asset IS NOT NULL AND status IN ('waiting', 'open', 'partially_filled')
        GROUP BY 1, 2
    ) AS o ON o.account_id = a.venue_account_id AND o.asset = a.asset
    WHERE coalesce(a.balance, 0) <> coalesce(o.amount, 0) ORDER BY a.id LIMIT :rows
"""
# Every transfer is one movement of two lines: the account's, and the world's outside.
_TRANSFERS: Final = """
    SELECT t.number FROM venue_transfers AS t
    LEFT JOIN ledger_movements AS m ON m.id = t.number + 1152921504606846976
        AND m.kind = CASE WHEN t.amount > 0 THEN 'deposit' ELSE 'payout' END
    LEFT JOIN ledger_accounts AS a ON a.venue_account_id = t.account_id
        AND a.kind = 'available' AND a.asset = t.asset
    LEFT JOIN ledger_lines AS l
        ON l.movement_id = m.id AND l.account_id = a.id AND l.amount = t.amount
    WHERE l.amount IS NULL ORDER BY 1 LIMIT :rows
"""
_UNCLAIMED: Final = """
    SELECT m.id FROM ledger_movements AS m
    WHERE m.id > 1152921504606846976 AND CASE
        WHEN m.kind IN ('deposit', 'payout')
        THEN NOT EXISTS (SELECT FROM venue_transfers AS t WHERE t.number = m.reference_id)
        WHEN m.kind = 'order'
        THEN NOT EXISTS (SELECT FROM orders AS o WHERE o.id = m.reference_id)
        ELSE m.kind <> 'cancel' END
    ORDER BY 1 LIMIT :rows
"""
# Each side of each trade where something is paid, and nothing else.
_FILLS: Final = """
    SELECT coalesce(t.id, f.trade_id) FROM (
        SELECT trades.id, price, quantity, maker_order_id, taker_order_id
        FROM trades JOIN instruments ON instruments.id = instrument_id
        WHERE base_asset IS NOT NULL
    ) AS t
    FULL JOIN (
        SELECT trade_id, min(price) AS price, min(quantity) AS quantity, count(*) AS sides,
            max(price) - min(price) + max(quantity) - min(quantity) AS apart,
            max(order_id) FILTER (WHERE is_maker) AS maker_order_id,
            max(order_id) FILTER (WHERE NOT is_maker) AS taker_order_id
        FROM fills GROUP BY 1
    ) AS f ON f.trade_id = t.id
    WHERE (f.price, f.quantity, f.sides, f.apart, f.maker_order_id, f.taker_order_id)
        IS DISTINCT FROM (t.price, t.quantity, 2, 0, t.maker_order_id, t.taker_order_id)
    ORDER BY 1 LIMIT :rows
"""
_FEES: Final = """
    SELECT a.id, a.kind, NULL, 'in ' || a.asset, coalesce(l.amount, 0), coalesce(f.amount, 0)
    FROM (SELECT * FROM ledger_accounts WHERE kind = 'fees' AND venue_account_id IS NULL) AS a
    LEFT JOIN (
        SELECT account_id, sum(amount) AS amount FROM ledger_lines
        WHERE movement_id > 1152921504606846976 GROUP BY 1
    ) AS l ON l.account_id = a.id
    LEFT JOIN (
        SELECT CASE side WHEN 'buy' THEN base_asset ELSE quote_asset END AS asset,
            sum(fee) AS amount
        FROM fills JOIN instruments ON instruments.id = instrument_id GROUP BY 1
    ) AS f ON f.asset = a.asset
    WHERE coalesce(l.amount, 0) <> coalesce(f.amount, 0) ORDER BY a.id LIMIT :rows
"""

VENUE_QUESTIONS: Final = (
    (_LOCKED, "{account} keeps {kept}, but its open orders lock {computed}"),
    (_TRANSFERS, "transfer {id} does not agree with its movement"),
    (_UNCLAIMED, "movement {id} is of a transfer or order that is not there"),
    (_FILLS, "trade {id} does not agree with its two fills"),
    (_FEES, "{account} got {kept} from trades, but the fees of all fills are {computed}"),
)
"""A question, and how each of its answers reads."""
