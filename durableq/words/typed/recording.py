"""Typed values to bytes and back: the codec, with a shape before it where the annotation calls for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from durableq.words.codec import decode, encode
from durableq.words.errors import CodecError
from durableq.words.typed.annotations import Unresolved, shape_of
from durableq.words.typed.differences import refuse_difference
from durableq.words.typed.models import Model, is_model
from durableq.words.typed.shape import Leaf, Mismatch, Shape


def encode_typed(value: Any, annotation: Any, *, what: str = "value") -> bytes:
    """The value as bytes that `decode_typed` turns back into it, under the same annotation.

    Raises CodecError when the codec does not know a type in it, when it is not what the annotation says, and when it
    would come back changed. `annotation` is best what `result_type` gave.
    """
    return roundtrip_typed(value, annotation, what=what)[0]


def decode_typed(data: bytes, annotation: Any, *, what: str = "value") -> Any:
    """The value in these bytes, as the annotated type. Raises CodecError when they are damaged or of another shape."""
    if annotation is Any:
        return decode(data)
    return load_data(decode(data), annotation, what=what)


def roundtrip_typed(value: Any, annotation: Any, *, what: str = "value") -> tuple[bytes, Any]:
    """(bytes, the value as replay will give it). Raises as `encode_typed` does."""
    if annotation is Any:
        data = encode(value, what=what)
        return data, decode(data)
    if isinstance(annotation, Unresolved):
        return _roundtrip_unresolved(value, annotation, what)
    try:
        shape = shape_of(annotation)
        if isinstance(shape, Leaf):
            return roundtrip_typed(value, Any, what=what)
        data = encode(_dump(shape, value), what=what)
        back = shape.load(decode(data))
        refuse_difference(value, back)
    except Mismatch as mismatch:
        raise _refusal(what, mismatch) from None
    return data, back


def load_data(data: Any, annotation: Any, *, what: str = "data") -> Any:
    """Plain data as the annotated type. Raises CodecError when it is of another shape."""
    if isinstance(annotation, Unresolved):
        return data
    try:
        return shape_of(annotation).load(data)
    except Mismatch as mismatch:
        raise _refusal(what, mismatch) from None


def dump_data(value: Any, *, what: str = "data") -> Any:
    """A dataclass, pydantic model or mapping as a plain map for others to read; anything else as it is. CodecError."""
    kind = type(value)
    if kind is dict:
        return value
    try:
        if is_model(kind) or is_dataclass(kind):
            shape = shape_of(kind)
            return shape.dump_for_others(value) if isinstance(shape, Model) else _dump(shape, value)
    except Mismatch as mismatch:
        raise _refusal(what, mismatch) from None
    return dict(value) if isinstance(value, Mapping) else value


def _dump(shape: Shape, value: Any) -> Any:
    try:
        return shape.dump(value)
    except RecursionError:
        raise Mismatch("is nested too deep, or contains itself") from None


def _roundtrip_unresolved(value: Any, annotation: Unresolved, what: str) -> tuple[bytes, Any]:
    try:
        return roundtrip_typed(value, Any, what=what)
    except CodecError as error:
        raise CodecError(
            f"{error}. (Its annotation {annotation.text!r} names something that cannot be found at run time: "
            "define it in the module, or pass output_type=.)",
            error.path,
        ) from None


def _refusal(what: str, mismatch: Mismatch) -> CodecError:
    return CodecError(f"{what}{mismatch.path} {mismatch.reason}", mismatch.path)
