"""A child whose parent is gone leaves, also when its loop is blocked and cannot notice."""

from __future__ import annotations

import os
import select
import threading
import time

EXIT_ORPHANED = 1


def leave_when_orphaned(read_fd: int, after_s: float) -> None:
    """End this process so long after the other end of this pipe was closed, whatever it does then.

    By then a loop that turns has drained and left. A thread that holds the interpreter's lock is not reached.
    """
    own_fd = os.dup(read_fd)  # the number given may be closed, and then be that of something else
    threading.Thread(target=_wait_and_leave, args=(own_fd, after_s), name="durableq-orphan", daemon=True).start()


def _wait_and_leave(fd: int, after_s: float) -> None:
    poll = select.poll()
    poll.register(fd, 0)  # nothing but the end of it, which is always told
    while not any(told & (select.POLLHUP | select.POLLERR) for _, told in poll.poll()):
        pass
    time.sleep(after_s)
    os._exit(EXIT_ORPHANED)
