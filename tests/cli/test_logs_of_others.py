"""A worker's log in a process that is not ours alone: Django's LOGGING, a user's structlog, loggers nobody configured."""

from __future__ import annotations

import json
import signal
from textwrap import dedent
from typing import Any

import pytest

from tests.cli.conftest import Demo
from tests.cli.project import Project
from tests.durableq_command import Running, environment

HANDLER = """
    @app.function("speak", triggers=[dq.EventTrigger("speak")])
    async def speak(ctx: dq.Context) -> None:
        ctx.logger.info("said by ctx", number=1)
        logging.getLogger("shop.orders").info("said by shop")
        logging.getLogger("stray").info("said by stray %d", 7)
        logging.getLogger("stray").warning("warned by stray")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("stray").exception("raised by stray")
        structlog.get_logger("theirs").warning("said by structlog", key="value")
"""

DJANGO = """
    import logging
    import django
    import structlog
    from django.conf import settings

    logging.getLogger("early")
    settings.configure(LOGGING={
        "version": 1,
        "disable_existing_loggers": True,
        "formatters": {"own": {"format": "DJANGO %(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {"shop": {"handlers": ["console"], "level": "INFO"}, "django": {"handlers": ["console"]}},
    })
    django.setup()
    app = dq.App("shop")
"""


class Speaking:
    """A worker on a project, the event sent, its output read."""

    def __init__(self, project: Project, demo: Demo) -> None:
        self._project = project
        self._demo = demo

    def lines(self, module: str, *, log_format: str = "json") -> list[str]:
        """All that a worker on this module writes from start to end, when it has executed `speak` once."""
        self._project.module("shop.py", module)
        env = environment(DURABLEQ_URL=self._demo.url, DURABLEQ_LOG_FORMAT=log_format)
        worker = Running("worker", "shop", cwd=self._project.directory, log=self._project.directory / "log", env=env)
        try:
            worker.says("child.working")
            self._demo.run(self._demo.send("speak"), "completed")
            worker.signal(signal.SIGTERM)
            assert worker.ends() == 0
        finally:
            worker.kill()
        return worker.output.splitlines()


@pytest.fixture
def speaking(project: Project, empty: Demo) -> Speaking:
    return Speaking(project, empty)


def named(lines: list[str], event: str) -> dict[str, Any]:
    """The one JSON line of this event. Every other mention of it would be a second one."""
    (line,) = [line for line in lines if event in line]
    found: dict[str, Any] = json.loads(line)
    assert found["event"] == event
    return found


def test_our_lines_appear_once_beside_djangos_logging_and_theirs_as_django_says(speaking: Speaking) -> None:
    lines = speaking.lines(dedent(DJANGO) + dedent(HANDLER))
    assert named(lines, "child.working")["level"] == "info"
    assert named(lines, "said by ctx")["number"] == 1
    assert [line for line in lines if "said by shop" in line] == ["DJANGO INFO shop.orders said by shop"]
    assert named(lines, "warned by stray")["logger"] == "stray"
    assert not [line for line in lines if "said by stray" in line], "its level is the root's, which Django left alone"


def test_records_that_nobody_takes_join_our_lines(speaking: Speaking) -> None:
    lines = speaking.lines("import logging, structlog\napp = dq.App('shop')\n" + dedent(HANDLER))
    assert named(lines, "said by shop")["logger"] == "shop.orders"
    stray = named(lines, "said by stray 7")
    assert (stray["level"], stray["logger"]) == ("info", "stray")
    assert "ZeroDivisionError" in named(lines, "raised by stray")["exception"]
    assert named(lines, "said by structlog")["key"] == "value"


def test_a_users_structlog_stays_the_users_and_does_not_touch_ours(speaking: Speaking) -> None:
    head = """
        import logging, structlog, sys
        structlog.configure(
            processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        app = dq.App("shop")
    """
    lines = speaking.lines(dedent(head) + dedent(HANDLER))
    assert [line for line in lines if "said by structlog" in line] == ["event='said by structlog' key='value'"]
    assert named(lines, "said by ctx")["level"] == "info"
    assert named(lines, "child.working")


def test_the_console_format_is_for_people(speaking: Speaking) -> None:
    lines = speaking.lines("import logging, structlog\napp = dq.App('shop')\n" + dedent(HANDLER), log_format="console")
    (line,) = [line for line in lines if "said by ctx" in line]
    assert "number=1" in line
    assert not line.startswith("{")
