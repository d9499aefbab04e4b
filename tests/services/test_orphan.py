"""A process whose parent is gone leaves, whatever its loop does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from durableq.services.orphan import EXIT_ORPHANED

SPINS = """
import sys
from durableq.services.orphan import leave_when_orphaned
leave_when_orphaned(int(sys.argv[1]), 0.05)
print("spinning", flush=True)
while True:
    pass
"""


def test_code_that_spins_ends_with_its_parents_pipe_and_not_before() -> None:
    read_fd, write_fd = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", SPINS, str(read_fd)], pass_fds=[read_fd], stdout=subprocess.PIPE, text=True
    )
    try:
        os.close(read_fd)
        assert process.stdout is not None
        assert process.stdout.readline() == "spinning\n"
        os.write(write_fd, b"{}\n")  # what the parent says is no end
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        os.close(write_fd)
        assert process.wait(30) == EXIT_ORPHANED
    finally:
        process.kill()
        process.communicate()
