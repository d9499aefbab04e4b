"""What acts of random plays draw from: few of each, so that they meet."""

from __future__ import annotations

FUNCTIONS = ("a/f", "a/g", "b/h")
KEYS = ("k1", "k2", "k3")
BLOBS = (b"", b"x\x00\n y", b"1 2 w 3")
DELAYS = (0, 0, 100, 2000, 60_000)
NAMES = ("order/paid", "durableq/function.finished")
BUCKETS = ("b1", "b2", "b0")
