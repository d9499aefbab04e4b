"""How control leaves user code when a turn must end. Not errors, so derived from BaseException.

In `async` functions nothing of ours is raised: a call that cannot go on stays pending and the tasks are cancelled. A thread
cannot be cancelled, so in `def` functions the step's call raises RunInterrupt.
"""

from __future__ import annotations


class RunInterrupt(BaseException):
    """The turn is over: the run waits for something and the function will be called again. Let it pass.

    Raised by the steps of `def` functions. `except Exception` does not catch it; a bare `except:` does, and fails the run.
    """


class ExitRefused(Exception):
    """User code raised SystemExit or KeyboardInterrupt in one task of a run. That ends this attempt, never the worker.

    `__cause__` is what was raised.
    """
