"""Naming: from the step ids that user code writes to the keys under which steps are recorded."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from durableq.words.ids import check_step_id

Keys = Callable[[str, int], str]


class Naming:
    """Counts how often each id was used in this replay, so that a loop may use one again, and who was never awaited."""

    __slots__ = ("_key_of", "_unawaited", "_used")

    def __init__(self, key_of: Keys) -> None:
        self._key_of = key_of
        self._used: dict[str, int] = {}
        self._unawaited: dict[str, tuple[str, Coroutine[Any, Any, Any]]] = {}

    def key(self, step_id: str) -> str:
        """The key of the next use of this id. ConfigError for an id that is not allowed."""
        if type(step_id) is not str:
            check_step_id(step_id)
        used = self._used.get(step_id, 0)
        key = self._key_of(step_id, used)
        self._used[step_id] = used + 1
        return key

    def called(self, key: str, step_id: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        """A step was called; it begins when its coroutine is awaited."""
        self._unawaited[key] = (step_id, coroutine)

    def begun(self, key: str) -> None:
        """It is awaited."""
        self._unawaited.pop(key, None)

    def unbegun(self) -> list[str]:
        """The ids of what was called and has not begun, so far."""
        return [step_id for step_id, _ in self._unawaited.values()]

    def close(self) -> list[str]:
        """Close what was called and never awaited, and give the ids."""
        if not self._unawaited:
            return []
        unawaited, self._unawaited = self._unawaited, {}
        for _, coroutine in unawaited.values():
            coroutine.close()  # or Python would warn of it a second time, without the id
        return [step_id for step_id, _ in unawaited.values()]
