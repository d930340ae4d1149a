"""Column types that several tables share."""

from sqlalchemy import Numeric

AMOUNT = Numeric(38, 18)
"""A price or an amount: twenty digits before the point, eighteen after it, never a float."""
