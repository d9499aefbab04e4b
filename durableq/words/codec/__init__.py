"""The codec: values to bytes and back, exactly or not at all. `docs/values.md` has the table of what becomes of what.

A blob is one format byte and one msgpack value. What msgpack cannot say (tuple, set, datetime …) travels as one of our
extension types. Never pickle: reading a blob builds data and runs none of the user's code.
"""

from durableq.words.codec.packing import DEPTH_MAX, FORMAT, decode, encode, roundtrip

__all__ = ["DEPTH_MAX", "FORMAT", "decode", "encode", "roundtrip"]
