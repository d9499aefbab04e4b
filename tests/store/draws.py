"""What acts of random plays draw from: few of each, so that they meet."""

from __future__ import annotations

FUNCTIONS = ("a/f", "a/g", "b/h")
KEYS = ("k1", "k2", "k3")
BLOBS = (b"", b"x\x00\n y", b"1 2 w 3")
DELAYS = (0, 0, 100, 2000, 60_000)
NAMES = ("order/paid", "durableq/function.finished")
BUCKETS = ("b1", "b2", "b0")
NUMBERS = (
    b" 0=1 1=1 2000001=1 2=2 t=10/1000/2 l=2/1000 i=5000 s=skip d=300/900 b=2/700 ",
    b" 0=2 1=1 t=1/1000/1 l=1/60000 i=9000 s=cancel d=1000/0 b=3/9000 ",
    b" 0=3 2000002=3 2=3 3000001=1 3=1 s=cancel ",
)
"""Of flow control, as deployments declare them."""
