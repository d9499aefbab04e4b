"""Failures: an exception as it is recorded. What user code catches later is always rebuilt from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durableq.model.hints import hint_of
from durableq.model.skipping import skipped_child
from durableq.model.stack import STACK_MAX, cut, leaves, stack_of, text_of
from durableq.words import errors
from durableq.words.codec import decode, encode
from durableq.words.errors import CodecError, RunSkipped, StepError, class_path

MESSAGE_MAX = 8 * 1024
NAME_MAX = 256
_CLASSES_MAX = 32
_LOOKED_AT_MAX = 1000
_TEXT = b"T"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, as recorded with a step or a run. Every field is bounded, and text that can be stored."""

    name: str
    """The class's own name, such as `PaymentDeclined`."""
    message: str
    """`str(error)`, at most 8 KB; for an exception group, the errors in it as well."""
    stack: str
    """The user's own frames, the error, and what it was raised from; at most 32 KB."""
    classes: tuple[str, ...]
    """`module.QualName` of the class and its bases up to BaseException, which `StepError.matches` looks through."""
    steps: tuple[str, ...] = field(default=(), compare=False)
    """The keys of the steps whose recorded errors came to this one: to go on from there, a rerun leaves those out."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The record of this error. A StepError that travels on keeps what was recorded of the original.

        Does not raise, whatever the error does when it is looked at.
        """
        if isinstance(error, StepError):
            name, message, stack = str(error.name), str(error.message), str(error.stack)
            classes = tuple(cut(str(path), NAME_MAX) for path in error.classes[:_CLASSES_MAX])
            return cls(
                cut(name, NAME_MAX), cut(message, MESSAGE_MAX), cut(stack, STACK_MAX), classes, failed_steps(error)
            )
        kind = type(error)
        classes = tuple(cut(class_path(base), NAME_MAX) for base in kind.__mro__ if issubclass(base, BaseException))
        name = cut(kind.__qualname__, NAME_MAX)
        return cls(name, _message(error), stack_of(error), classes[:_CLASSES_MAX], failed_steps(error))

    def to_step_error(self, step: str, key: str = "") -> StepError:
        """The error that the step's call raises in user code. `step` is the step's id, `key` where it is recorded."""
        error = StepError(self.name, self.message, self.stack, step=step, classes=self.classes)
        error._key = key
        return error

    def to_map(self) -> dict[str, Any]:
        """As stored, and as `error` in system events."""
        return {"name": self.name, "message": self.message, "stack": self.stack, "classes": list(self.classes)}

    @classmethod
    def from_map(cls, stored: Mapping[str, Any]) -> Failure:
        """What `to_map` gave. Raises CodecError for a map that it did not give."""
        name, message, stack, classes = (stored.get(key) for key in ("name", "message", "stack", "classes"))
        known = stored.get("steps")  # releases before had none
        steps = tuple(map(str, known)) if isinstance(known, list) else ()
        if isinstance(name, str) and isinstance(message, str) and isinstance(stack, str) and isinstance(classes, list):
            return cls(name, message, stack, tuple(map(str, classes)), steps)
        raise CodecError("stored failure is damaged: it lacks name, message, stack or classes")

    def encode(self) -> bytes:
        """As bytes."""
        return encode({**self.to_map(), "steps": list(self.steps)} if self.steps else self.to_map(), what="failure")

    @classmethod
    def decode(cls, blob: bytes) -> Failure:
        """What `encode` gave, or a script wrote. Raises CodecError when the bytes are damaged."""
        if blob[:1] == _TEXT:
            return cls._of_text(blob)
        stored = decode(blob)
        if not isinstance(stored, dict):
            raise CodecError("stored failure is damaged: it is no map")
        return cls.from_map(stored)

    @classmethod
    def _of_text(cls, blob: bytes) -> Failure:
        """What a script wrote, which has no codec: `T`, the name of one of our errors, a line's end, the message."""
        name, _, message = blob[1:].decode("utf-8", "replace").partition("\n")
        if name == RunSkipped.__name__:
            message = skipped_child(message)
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            classes = tuple(class_path(base) for base in kind.__mro__ if issubclass(base, BaseException))
        else:
            classes = (cut(name, NAME_MAX),)
        return cls(cut(name, NAME_MAX), cut(message, MESSAGE_MAX), "", classes)


def failed_steps(error: BaseException) -> tuple[str, ...]:
    """The keys of the steps whose errors this is, holds as a group, or was raised `from`. What was caught before is none."""
    found: dict[str, None] = {}
    pending: list[BaseException | None] = [error]
    for _ in range(_LOOKED_AT_MAX):
        one = pending.pop() if pending else None
        if isinstance(one, StepError):
            found[str(getattr(one, "_key", ""))] = None
        elif isinstance(one, BaseExceptionGroup):
            pending += reversed(one.exceptions)
        elif one is not None:
            pending.append(vars(BaseException)["__cause__"].__get__(one))  # a class may have one of its own
    found.pop("", None)
    return tuple(found)


def _message(error: BaseException) -> str:
    message = text_of(error, MESSAGE_MAX)
    if isinstance(error, BaseExceptionGroup):
        inside = "; ".join(f"{type(leaf).__qualname__}: {text_of(leaf, 500)}" for leaf in leaves(error))
        message = cut(f"{message}: {inside}", MESSAGE_MAX)
    hint = hint_of(error, message)
    return cut(f"{message} (hint: {hint})", MESSAGE_MAX) if hint else message
