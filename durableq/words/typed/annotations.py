"""From an annotation to its shape."""

from __future__ import annotations

import collections.abc as abc
import sys
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, ForwardRef, TypeVar

from typing_extensions import ReadOnly, is_typeddict

if sys.version_info >= (3, 14):
    import annotationlib

from durableq.words.typed.classes import Keys, Member, Record
from durableq.words.typed.containers import Items, Map, Row, Union, Unordered
from durableq.words.typed.models import Model, is_model
from durableq.words.typed.shape import ANY, Leaf, Shape

_SEQUENCES: dict[Any, tuple[type, ...]] = {
    list: (list,),
    abc.Sequence: (list, tuple),
    abc.Collection: (list, tuple),
    abc.Iterable: (list, tuple),
    abc.MutableSequence: (list,),
}
_SETS: dict[Any, type[set[Any]] | type[frozenset[Any]]] = {
    set: set,
    frozenset: frozenset,
    abc.Set: set,
    abc.MutableSet: set,
}
_MAPS = (dict, abc.Mapping, abc.MutableMapping)
_WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final, typing.ClassVar, ReadOnly)
_WIDENED: dict[type, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}

Bindings = dict[Any, Any]


def shape_of(annotation: Any) -> Shape:
    """The shape of values of this annotation; a Leaf where the codec alone is enough, or nothing can be known.

    Raises Mismatch when pydantic refuses the annotation.
    """
    try:
        return _cached_shape(annotation)
    except TypeError:  # not hashable, as Annotated[X, []] is not
        return _new_shape(annotation)


@lru_cache(maxsize=1024)
def _cached_shape(annotation: Any) -> Shape:
    return _new_shape(annotation)


def _new_shape(annotation: Any) -> Shape:
    try:
        return _Compiler().shape(annotation, {})
    except _InvolvesPydantic:
        return Model(annotation)
    except RecursionError:  # an alias that names itself, such as the type of all JSON
        return ANY


class _InvolvesPydantic(Exception):
    """A model was met, so the annotation goes to pydantic as a whole."""


class _Compiler:
    """Compiles one annotation. Remembers the dataclasses it is in, since they may hold themselves."""

    def __init__(self) -> None:
        self._records: dict[Any, Record] = {}

    def shape(self, annotation: Any, bindings: Bindings) -> Shape:
        annotation = _unwrapped(annotation, bindings)
        if annotation is None or annotation is type(None):
            return Leaf((type(None),))
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is None:
            return self._of_class(annotation, {}) if isinstance(annotation, type) else ANY
        if origin is typing.Union or origin is types.UnionType:
            return self._of_union([self.shape(arg, bindings) for arg in args])
        if origin is typing.Literal:
            return self._of_literal(args)
        if not isinstance(origin, type):
            return ANY
        if origin is tuple:
            return self._of_tuple(args, bindings)
        if origin in _SEQUENCES or origin in _SETS or origin in _MAPS:
            item = self.shape(args[-1], bindings)
            if isinstance(item, Leaf):
                return _leaf(origin)
            if origin in _MAPS:
                return Map(item)
            return Unordered(_SETS[origin], item) if origin in _SETS else Items(_SEQUENCES[origin], item)
        parameters = getattr(origin, "__parameters__", ())
        bound = {name: _unwrapped(arg, bindings) for name, arg in zip(parameters, args, strict=False)}
        return self._of_class(origin, bound)

    def _of_class(self, cls: type, bindings: Bindings) -> Shape:
        if is_model(cls):
            raise _InvolvesPydantic
        if is_typeddict(cls):
            return self._of_typed_dict(cls, bindings)
        if issubclass(cls, Enum):
            return Member(cls)
        if not is_dataclass(cls):
            return _leaf(cls)
        key = (cls, *bindings.values())
        known = self._records.get(key)
        if known is not None:
            return known
        record = self._records[key] = Record(cls)
        hints = class_hints(cls)
        for field in fields(cls):
            record.parts[field.name] = self.shape(hints.get(field.name, Any), bindings)
        return record

    def _of_typed_dict(self, cls: Any, bindings: Bindings) -> Shape:
        parts = {name: self.shape(hint, bindings) for name, hint in class_hints(cls).items()}
        if all(isinstance(part, Leaf) for part in parts.values()):
            return Leaf((dict,))
        return Keys(cls.__name__, parts, frozenset(cls.__required_keys__))

    def _of_tuple(self, args: tuple[Any, ...], bindings: Bindings) -> Shape:
        if len(args) == 2 and args[1] is Ellipsis:
            item = self.shape(args[0], bindings)
            return Leaf((tuple,)) if isinstance(item, Leaf) else Items((tuple,), item)
        items = tuple(self.shape(arg, bindings) for arg in args)
        return Leaf((tuple,)) if all(isinstance(item, Leaf) for item in items) else Row(items)

    def _of_literal(self, args: tuple[Any, ...]) -> Shape:
        enums = {type(arg) for arg in args if isinstance(arg, Enum)}
        plain = tuple(arg for arg in args if not isinstance(arg, Enum))
        leaf = Leaf(tuple({type(arg) for arg in plain}), plain)
        return self._of_union([*map(Member, enums), *([leaf] if plain else [])])

    def _of_union(self, members: list[Shape]) -> Shape:
        if len(members) == 1:
            return members[0]
        if all(isinstance(member, Leaf) for member in members):
            return ANY
        # Structured members first: a map that fits a dataclass was most likely written by it.
        return Union(tuple(sorted(members, key=lambda member: isinstance(member, Leaf))))


def _leaf(cls: Any) -> Leaf:
    # `Any` is a class since Python 3.11. Neither it nor a protocol can be asked for its instances.
    if cls is Any or getattr(cls, "_is_protocol", False):
        return ANY
    return Leaf(_WIDENED.get(cls, (cls,)))


def _unwrapped(annotation: Any, bindings: Bindings) -> Any:
    """The annotation without Annotated, NewType, type aliases and type variables."""
    while True:
        if isinstance(annotation, TypeVar):
            annotation = bindings.get(annotation, annotation.__bound__ or Any)
            if isinstance(annotation, TypeVar):
                return Any
        elif typing.get_origin(annotation) in _WRAPPERS:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif isinstance(annotation, (str, ForwardRef)):
            return Any
        else:
            return annotation


def raw_annotations(target: Any) -> dict[str, Any]:
    """The annotations as they are written: strings may be among them, and names that mean nothing yet."""
    found = None
    try:
        found = getattr(target, "__annotations__", None)
    except NameError:  # Python 3.14 evaluates here
        if sys.version_info >= (3, 14):
            found = annotationlib.get_annotations(target, format=annotationlib.Format.FORWARDREF)
    return found if isinstance(found, dict) else {}


def class_hints(cls: type) -> dict[str, Any]:
    """The annotations of a class's fields, each resolved if it can be; those that cannot are left out."""
    try:
        return typing.get_type_hints(cls)
    except Exception:
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            names = vars(sys.modules.get(base.__module__, typing)) | {base.__name__: base}
            for name, hint in raw_annotations(base).items():
                resolved = resolve(hint, names)
                if not isinstance(resolved, Unresolved):
                    hints[name] = resolved
        return hints


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation whose names cannot be found: behind TYPE_CHECKING, or local to a function."""

    text: str


def resolve(annotation: Any, names: dict[str, Any]) -> Any:
    """The annotation with its strings evaluated among `names`, or Unresolved."""

    def holder() -> None: ...

    holder.__annotations__ = {"return": annotation}
    try:
        return typing.get_type_hints(holder, globalns=names)["return"]
    except Exception:
        return Unresolved(annotation if isinstance(annotation, str) else repr(annotation))
