"""What a test environment raises: for a test that uses it wrongly, and for a promise of the test that did not come true."""

from __future__ import annotations

from durableq.words.errors import DurableqError


class EnvError(DurableqError, RuntimeError):
    """The environment is used where it cannot be: after its end, in another event loop. The message says what to write."""


class EnvFailure(AssertionError):
    """Something that the test has said of its functions is not so: a stub never used, one result where there are two."""


class NobodyListens(UserWarning):
    """An event was sent that starts no function. `TestEnv(app, strict=True)` makes a failure of it."""
