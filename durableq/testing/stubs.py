"""Stand-ins for step bodies, and how often each body was begun.

Asked by the engine right before a body begins, so what a stand-in returns or raises goes the way of a real result: through
the codec, into the record, through retries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from durableq.engine.execution import ClaimedRun
from durableq.testing.errors import EnvFailure
from durableq.words.errors import ConfigError
from durableq.words.ids import check_step_id

NOTHING: Final = object()
"""For an argument that was not given, where None is a value."""

Body = Callable[[], Any]


@dataclass(slots=True)
class Stub:
    """What to execute in place of a step's body. `left` None: every time."""

    step_id: str
    body: Callable[..., Any]
    left: int | None
    used: int = 0


class Stubs:
    """The stubs of one environment."""

    def __init__(self) -> None:
        self._stubs: dict[str, list[Stub]] = {}
        self.begun: Counter[tuple[str, str]] = Counter()
        """How often the body of (run id, step id) has begun."""
        self.bodies = 0
        """How many have begun in all."""
        self.misused: EnvFailure | None = None
        """A stub that answers a wait with what no such wait is answered with."""

    def add(self, step_id: str, body: object, returns: object, raises: object, times: int | None) -> None:
        """Raises ConfigError."""
        where = f"stub_step({check_step_id(step_id)!r})"
        given = [
            name for name, value in (("body", body), ("returns", returns), ("raises", raises)) if value is not NOTHING
        ]
        if len(given) != 1:
            raise ConfigError(
                f"{where} takes one of a callable, returns= and raises=, not {' and '.join(given) or 'none of them'}"
            )
        if times is not None and (type(times) is not int or times < 1):
            raise ConfigError(f"{where}: times must be 1 or more, not {times!r}")
        self._stubs.setdefault(step_id, []).append(Stub(step_id, _callable(where, body, returns, raises), times))

    def stand_in(self, run: ClaimedRun, step_id: str, body: Body) -> Body:
        """What to execute for this body: itself, or what the newest stub that is not used up says."""
        self.begun[run.run_id, step_id] += 1
        self.bodies += 1
        stub = self._next(step_id)
        if stub is None:
            return body
        return partial(stub.body, *body.args, **body.keywords) if isinstance(body, partial) else stub.body

    def instead(self, run_id: str, step_id: str) -> Callable[..., Any] | None:
        """What answers a wait or an invoke in place of what it waits for; None where there is no stub."""
        stub = self._next(step_id)
        if stub is None:
            return None
        self.begun[run_id, step_id] += 1
        self.bodies += 1
        return stub.body

    def _next(self, step_id: str) -> Stub | None:
        """The newest that is not used up, which is used then."""
        for stub in reversed(self._stubs.get(step_id, ())):
            if stub.left != 0:
                stub.used += 1
                if stub.left is not None:
                    stub.left -= 1
                return stub
        return None

    def unused(self) -> list[str]:
        """Step ids of stubs that no body has asked for, each once."""
        return list(dict.fromkeys(stub.step_id for stubs in self._stubs.values() for stub in stubs if not stub.used))


def _callable(where: str, body: object, returns: object, raises: object) -> Callable[..., Any]:
    if body is not NOTHING:
        if not callable(body):
            raise ConfigError(f"{where}: {body!r} cannot be called; write returns={body!r} for a value")
        return body
    if raises is not NOTHING:
        is_class = isinstance(raises, type) and issubclass(raises, BaseException)
        if not is_class and not isinstance(raises, BaseException):
            raise ConfigError(f"{where}: raises must be an exception or its class, not {raises!r}")
        return partial(_raise, raises)
    return partial(_return, returns)


# Coroutines, so that they need no thread.
async def _return(value: object, *_args: object, **_kwargs: object) -> object:
    return value


async def _raise(error: Any, *_args: object, **_kwargs: object) -> object:
    if isinstance(error, BaseException):
        error.__traceback__ = None  # or it would grow with every attempt
    raise error
