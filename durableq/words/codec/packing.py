"""Packing and unpacking. On the path of every step, so msgpack's C code does the work and Python only guards it.

Safe in any thread and task, since each call makes its packer; one per thread would save 0.1 us of 1.3, and be state.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import DecimalException
from functools import partial
from struct import error as StructError
from typing import Any

from msgpack import ExtType, Packer, unpackb

from durableq.words.codec.extensions import BUILDERS, COLLECTIONS, WRITERS, read_scalar, write_collection
from durableq.words.codec.refusals import refuse
from durableq.words.errors import CodecError

FORMAT = 1
DEPTH_MAX = 64  # containers within containers; far above honest data, far below what exhausts a stack

_FORMAT_BYTE = bytes([FORMAT])
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})
_LEAVES = _SCALARS | WRITERS.keys()
_CONTAINERS = frozenset({dict, list}) | COLLECTIONS.keys()
_COPY_MAX = 4096
_BUFFER_BYTES = 1024  # grows as needed; with msgpack's own 256 KB a tuple (two packers at once) costs 8 us of malloc


def encode(value: Any, *, what: str = "value") -> bytes:
    """The value as bytes. Raises CodecError, which names the path (`what` is its root), the type and the remedy."""
    try:
        if type(value) not in _SCALARS:
            _check(value, DEPTH_MAX)
        return _FORMAT_BYTE + _pack(value)
    except MemoryError:
        raise
    except Exception as error:
        refuse(value, what, DEPTH_MAX, _pack, error)


def decode(data: bytes) -> Any:
    """The value in these bytes. Raises CodecError for anything that `encode` did not write."""
    if data[:1] != _FORMAT_BYTE:
        raise _unknown_format(data)
    try:
        value = _unpack(data[1:] if len(data) < _COPY_MAX else memoryview(data)[1:], _ROOT_HOOK)
        # msgpack lets two things pass that no encode writes: its own timestamps (type code 0xff) and map keys that are
        # bytes (headers 0xc4 to 0xc6). Few blobs hold one of these bytes at all, so few are looked through.
        if 0xFF in data or 0xC4 in data or 0xC5 in data or 0xC6 in data:
            _check(value, DEPTH_MAX)
    except CodecError:
        raise
    except (ValueError, TypeError, OverflowError, DecimalException, StructError, RecursionError, MemoryError) as error:
        raise CodecError(f"stored value is damaged: {type(error).__name__}: {str(error)[:200]}") from None
    return value


def roundtrip(value: Any, *, what: str = "value") -> Any:
    """The value as replay will give it: decode(encode(value)). A step's result goes through this the first time too."""
    return decode(encode(value, what=what))


def _check(value: Any, depth: int) -> None:
    """Refuse, without saying why, what msgpack would take and change: other key types, bytearrays, foreign extensions.

    Exact types only, so that nothing is flattened to its base class. This loop is half the cost of `encode`.
    """
    kind = type(value)
    if not depth and kind in _CONTAINERS:
        raise ValueError("nested too deep")
    if kind is dict:
        for key, member in value.items():
            if type(key) is not str:
                raise TypeError(type(key))
            if type(member) not in _LEAVES:
                _check(member, depth - 1)
    elif kind in _CONTAINERS:
        for member in value:
            if type(member) not in _LEAVES:
                _check(member, depth - 1)
    elif kind not in _LEAVES:
        raise TypeError(kind)


def _pack(value: Any) -> bytes:
    packed: bytes = Packer(default=_extend, strict_types=True, buf_size=_BUFFER_BYTES).pack(value)
    return packed


def _extend(value: Any) -> ExtType:
    kind = type(value)
    if kind in COLLECTIONS:
        return ExtType(*write_collection(value, _pack))
    return ExtType(*WRITERS[kind](value))


def _unpack(data: bytes | memoryview, hook: Callable[[int, bytes], Any]) -> Any:
    return unpackb(data, ext_hook=hook, strict_map_key=True)


def _restore(depth: int, code: int, data: bytes) -> Any:
    build = BUILDERS.get(code)
    if build is None:
        return read_scalar(code, data)
    if not depth:
        raise CodecError(f"stored value is damaged: nested deeper than {DEPTH_MAX}")
    items = _unpack(data, partial(_restore, depth - 1))
    if type(items) is not list:
        raise CodecError(f"stored value is damaged: a {build.__name__} made of a {type(items).__name__}")
    return build(items)


_ROOT_HOOK = partial(_restore, DEPTH_MAX)


def _unknown_format(data: bytes) -> CodecError:
    if not data:
        return CodecError("stored value is damaged: it is empty")
    return CodecError(
        f"stored value has format {data[0]}, this release reads format {FORMAT}: run the release that wrote it"
    )
