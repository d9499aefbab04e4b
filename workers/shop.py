"""What a worker loads: `durableq worker workers.shop:app`. Importing these modules declares the app's functions."""

from workers import catalogue, orders, reports, signups
from workers.app import app

__all__ = ["app", "catalogue", "orders", "reports", "signups"]
