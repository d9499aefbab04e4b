"""Annotations that involve pydantic: its TypeAdapter dumps and validates. Imported here alone, when one does."""

from __future__ import annotations

from enum import Enum
from inspect import signature
from typing import Any

from durableq.words.typed.shape import Mismatch

_STORED = frozenset({str, int, float, bool, bytes, type(None)})


def is_model(cls: type) -> bool:
    """Whether this class is pydantic's: a model, or one of its dataclasses. Does not import it."""
    return hasattr(cls, "__pydantic_validator__") or hasattr(cls, "__pydantic_core_schema__")


class Model:
    """A pydantic model, or a type with one somewhere inside: pydantic handles the annotation as a whole."""

    __slots__ = ("_adapter", "_dumping", "_loading")

    def __init__(self, annotation: Any) -> None:
        from pydantic import TypeAdapter  # noqa: PLC0415  (an optional extra; the annotation shows that it is there)

        try:
            self._adapter: Any = TypeAdapter(annotation)
        except Exception as error:
            raise Mismatch(f"has an annotation that pydantic refuses: {str(error)[:400]}") from None
        # Since 2.11 field names are understood beside aliases. They are what is stored then: an alias may be for
        # validation or for serialisation alone, and would not find its way back.
        by_name = "by_name" in signature(TypeAdapter.validate_python).parameters
        self._dumping = {"by_alias": not by_name}
        self._loading = {"by_alias": True, "by_name": True} if by_name else {}

    def holds(self, value: Any) -> bool:
        return True

    def dump(self, value: Any) -> Any:
        return self._dump(value, self._dumping)

    def dump_for_others(self, value: Any) -> Any:
        """The data under its aliases, as whoever reads an event expects it."""
        return self._dump(value, {"by_alias": True})

    def fits(self, data: Any) -> bool:
        return True

    def load(self, data: Any) -> Any:
        try:
            # Never strict: an enum or a URL inside was stored as its value or text.
            return self._adapter.validate_python(data, strict=False, **self._loading)
        except Exception as error:
            raise Mismatch(f"does not pass pydantic's validation: {str(error)[:400]}") from None

    def _dump(self, value: Any, options: dict[str, bool]) -> Any:
        try:
            data = self._adapter.dump_python(value, round_trip=True, warnings=False, **options)
        except Exception as error:
            raise Mismatch(f"cannot be dumped by pydantic: {str(error)[:400]}") from None
        return _settled(data)


def _settled(data: Any) -> Any:
    """What pydantic's python mode leaves as objects (enums, URLs, paths), as data. What the codec knows stays."""
    kind = type(data)
    if kind in _STORED:
        return data
    if kind is dict:
        return {_settled_key(key): _settled(member) for key, member in data.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(map(_settled, data))
    if isinstance(data, Enum):
        return _settled(data.value)
    if hasattr(kind, "get_secret_value"):
        raise Mismatch(
            f"holds a {kind.__qualname__}, and a stored result is no secret: return a reference to it instead"
        )
    if kind.__module__ in ("datetime", "decimal", "uuid"):
        return data
    return _as_json(data)


def _settled_key(key: Any) -> Any:
    """Keys of a map must be text. Validation makes them numbers or ids again."""
    return key if type(key) is str else next(iter(_as_json({key: None})), key)


def _as_json(data: Any) -> Any:
    from pydantic_core import to_jsonable_python  # noqa: PLC0415  (comes with pydantic)

    try:
        return to_jsonable_python(data)
    except Exception:
        return data  # the codec refuses it, with the path
