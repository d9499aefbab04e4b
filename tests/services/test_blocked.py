"""Reading the blocking line out of a dump of faulthandler's."""

import asyncio
import faulthandler
import os
import threading
from pathlib import Path

from durableq.services import blocked
from durableq.services.blocked import blocking_line

STANDARD = Path(asyncio.__file__).parents[1]
PACKAGE = Path(blocked.__file__).parents[1]
DUMP = f"""Timeout (0:00:05)!
Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
Thread 0x00007f02 (most recent call first):
  File "/usr/lib/python3.11/json/decoder.py", line 337 in decode
  File "/home/me/shop/orders.py", line 12 in load
  File "{PACKAGE}/engine/bodies.py", line 48 in _execute
  File "{STANDARD}/asyncio/base_events.py", line 607 in run_forever
"""


def test_the_innermost_line_and_the_one_of_the_user_are_found() -> None:
    found = blocking_line(DUMP, 0x7F02)
    assert found is not None
    assert found.line == "/usr/lib/python3.11/json/decoder.py:337 in decode"
    assert found.user_line == "/home/me/shop/orders.py:12 in load"


def test_code_that_is_installed_counts_as_the_users_where_there_is_no_other() -> None:
    text = DUMP.replace("/home/me/shop/orders.py", "/venv/lib/python3.11/site-packages/shop/orders.py")
    found = blocking_line(text.replace("/usr/lib/python3.11/json/decoder.py", f"{STANDARD}/asyncio/x.py"), 0x7F02)
    assert found is not None
    assert found.user_line == "/venv/lib/python3.11/site-packages/shop/orders.py:12 in load"


def test_the_librarys_own_lines_are_passed_over() -> None:
    text = DUMP.replace('  File "/usr/lib/python3.11/json/decoder.py", line 337 in decode\n', "")
    text = text.replace("/home/me/shop/orders.py", f"{STANDARD}/asyncio/streams.py")
    found = blocking_line(text + '  File "/home/me/main.py", line 3 in main\n', 0x7F02)
    assert found is not None
    assert found.user_line == "/home/me/main.py:3 in main"


def test_a_loop_that_only_waits_is_in_nobodys_code() -> None:
    frames = f'  File "{STANDARD}/selectors.py", line 468 in select\n'
    frames += f'  File "{STANDARD}/asyncio/base_events.py", line 607 in run_forever\n'
    found = blocking_line(f"Thread 0x00007f02 (most recent call first):\n{frames}", 0x7F02)
    assert found is not None
    assert found.user_line == ""


def test_another_threads_dump_names_nothing() -> None:
    assert blocking_line(DUMP, 0x7F03) is None
    assert blocking_line("", 0x7F02) is None


def test_it_reads_what_this_python_writes() -> None:
    read, write = os.pipe()
    faulthandler.dump_traceback(write, all_threads=True)
    os.close(write)
    with os.fdopen(read) as dump:
        found = blocking_line(dump.read(), threading.get_ident())
    assert found is not None
    assert "test_blocked.py" in found.user_line
