"""What counts as moving: loops that rest, are full or wait for a Redis that is away do; a round that never ends does not."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durableq.services.health import SILENT_S, STALLED_S, STARTING_S, HealthFile, Watched, health_file, stalled
from durableq.services.offspring import Offspring
from durableq.services.parent import Parent
from durableq.services.service import Loop
from durableq.services.settings import WorkerSettings
from durableq.store.opening import open_link
from durableq.words.errors import ConfigError
from durableq.words.telemetry import get_log
from tests.acceptance.harness import until
from tests.servers import RealServer

SOON_S = 10.0


class Told:
    """A log that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self.said.append(f"{level} {event} {fields.get('why', fields.get('error', ''))}")


class Hanging:
    """A service whose second round never ends."""

    def __init__(self) -> None:
        self.rounds = 0

    async def run_once(self) -> float:
        self.rounds += 1
        if self.rounds > 1:
            await asyncio.Event().wait()
        return 0.0


class Resting(Hanging):
    """A service with long pauses."""

    async def run_once(self) -> float:
        self.rounds += 1
        return 3600.0


def at_work(service: Hanging) -> Loop:
    loop = Loop("claimer", service, get_log(), lambda _lost: None)
    loop.start()
    return loop


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The loop's clock goes on by this much."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)


class Answering:
    """A link to a Redis that has been there for as long."""

    def __init__(self, answering_s: float = 1e6) -> None:
        self.answering_s = answering_s


def reason(loop: Loop, link: Any = None, *, at_rest: bool = False) -> str:
    return stalled([Watched(loop, link or Answering(), lambda: at_rest)])


async def test_a_round_that_does_not_end_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = at_work(service := Hanging())
    await until(lambda: service.rounds == 2, "the second round", within_s=SOON_S)
    later(monkeypatch, STALLED_S - 1)
    assert reason(loop) == ""
    later(monkeypatch, 2)
    assert reason(loop) == "its claimer has not moved for 21 s"
    await loop.stop()
    assert reason(loop) == ""


async def test_a_loop_that_rests_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = at_work(service := Resting())
    await until(lambda: service.rounds == 1, "the first round", within_s=SOON_S)
    later(monkeypatch, 3000)
    assert reason(loop) == ""
    await loop.stop()


async def test_a_loop_that_waits_for_user_code_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = at_work(service := Hanging())
    await until(lambda: service.rounds == 2, "the second round", within_s=SOON_S)
    later(monkeypatch, 3000)
    assert reason(loop, at_rest=True) == ""
    assert reason(loop) != ""
    await loop.stop()


async def test_only_time_with_redis_there_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = at_work(service := Hanging())
    await until(lambda: service.rounds == 2, "the second round", within_s=SOON_S)
    later(monkeypatch, 3000)
    assert reason(loop, Answering(0)) == ""
    assert reason(loop, Answering(STALLED_S - 1)) == ""
    assert reason(loop, Answering(STALLED_S + 1)) != ""
    await loop.stop()


async def test_a_loop_whose_task_was_killed_in_a_round_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Resting):
        async def run_once(self) -> float:
            raise GeneratorExit

    loop = at_work(Dying())
    assert loop._running is not None
    await asyncio.wait((loop._running,))
    loop._running.exception()
    later(monkeypatch, 3000)
    assert reason(loop) != ""


# ---- a parent and its children


async def test_a_child_that_has_spoken_must_go_on_speaking(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Offspring(1, get_log(), lambda _child, _message: None)
    later(monkeypatch, STARTING_S - 1)
    assert child.unwell() == "", "it imports its apps"
    child._said({"is": "beat", "in_hand": 0, "stalled": ""})
    later(monkeypatch, SILENT_S - 1)
    assert child.unwell() == ""
    later(monkeypatch, 2)
    assert child.unwell() == "child 0 has been silent for 6 s"


async def test_a_child_that_never_speaks_is_unwell_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Offspring(1, get_log(), lambda _child, _message: None)
    later(monkeypatch, STARTING_S + 1)
    assert child.unwell() == "child 0 has been silent for 61 s"


async def test_a_child_says_itself_what_does_not_move() -> None:
    child = Offspring(1, get_log(), lambda _child, _message: None)
    child._said({"is": "beat", "in_hand": 0, "stalled": "its claimer has not moved for 21 s"})
    assert child.unwell() == "child 0: its claimer has not moved for 21 s"
    child._said({"is": "beat", "in_hand": 0, "stalled": ""})
    assert child.unwell() == ""


async def test_a_parent_without_enough_children_is_unwell_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = WorkerSettings(("a:b",), "redis://localhost", processes=2)
    parent = Parent(settings, ("false",), None, get_log())  # type: ignore[arg-type]
    children = [Offspring(number, get_log(), lambda _child, _message: None) for number in (1, 2)]
    waits = [asyncio.create_task(asyncio.Event().wait()) for _ in children]
    parent._children.update(zip(children[:1], waits[:1], strict=True))  # type: ignore[arg-type]
    later(monkeypatch, STALLED_S - 1)
    assert parent.unwell() == ""
    later(monkeypatch, 2)
    assert parent.unwell() == "a child has been missing for 21 s"
    parent._children.update(zip(children, waits, strict=True))  # type: ignore[arg-type]
    assert parent.unwell() == ""
    parent._children.clear()
    assert parent.unwell() == "", "it has been missing for no time yet"
    later(monkeypatch, STALLED_S + 1)
    parent.stop()
    assert parent.unwell() == "", "children leave while it drains"
    for wait in waits:
        wait.cancel()


# ---- what a link knows of Redis


async def test_a_link_counts_the_time_in_which_redis_is_there(start_server: Callable[..., RealServer]) -> None:
    server = start_server("redis7")
    link = open_link(server.url, "test")
    await link.command("PING")
    assert 0 < link.answering_s < SOON_S
    server.kill()
    await until(lambda: link.answering_s == 0.0, "it is away", within_s=SOON_S)
    server.restart()
    await until(lambda: link.answering_s > 0, "it is there", within_s=SOON_S)
    await link.close()


async def test_a_redis_that_puts_calls_off_is_not_there(start_server: Callable[..., RealServer]) -> None:
    """Loading its data, or busy with somebody's script: that mends itself, and no restart of ours would mend it."""
    server = start_server("redis7", busy_reply_threshold="50")
    link = open_link(server.url, "test")
    await link.command("PING")
    other = server.client()
    hogging = asyncio.create_task(other.eval("while true do end", 0))
    asked = []

    def put_off() -> bool:
        asked.append(link.command("PING"))
        return link.answering_s == 0.0

    await until(put_off, "it is busy", within_s=SOON_S)
    assert link.up
    server.sync_client().script_kill()
    assert await asked[-1] == b"PONG"
    await asyncio.gather(hogging, return_exceptions=True)
    await other.aclose()
    await link.close()


async def test_a_link_whose_keeper_is_gone_is_no_excuse(start_server: Callable[..., RealServer]) -> None:
    link = open_link(start_server("redis7").url, "test")
    await link.command("PING")
    assert link._keeper is not None
    link._keeper.cancel()
    await asyncio.wait((link._keeper,))
    assert link.answering_s > 0
    await link.close()


# ---- the file


async def test_the_file_is_touched_unless_somebody_is_unwell(tmp_path: Path) -> None:
    told = Told()
    kept, path, why = HealthFile(str(tmp_path / "health"), told), tmp_path / "health", [""]  # type: ignore[arg-type]
    kept.ask(lambda: "")
    kept.ask(lambda: why[0])
    assert await kept.run_once() == 1.0
    os.utime(path, (1, 1))
    why[0] = "child 7 has been silent for 9 s"
    for _ in range(3):
        await kept.run_once()
        assert path.stat().st_mtime == 1
    why[0] = ""
    await kept.run_once()
    assert time.time() - path.stat().st_mtime < SOON_S
    assert told.said == ["warning health.stale child 7 has been silent for 9 s", "info health.fresh "]


async def test_a_single_bad_round_is_not_worth_a_line(tmp_path: Path) -> None:
    told = Told()
    kept, why = HealthFile(str(tmp_path / "health"), told), [""]  # type: ignore[arg-type]
    kept.ask(lambda: why[0])
    for why[0] in ("late", "", "late", ""):
        await kept.run_once()
    assert told.said == []


async def test_the_file_is_there_while_the_context_lasts(tmp_path: Path) -> None:
    path = tmp_path / "health"
    async with health_file(str(path), get_log()) as ask:
        assert path.exists()
        assert path.stat().st_mode & 0o777 == 0o644
        ask(lambda: "unwell from now on")
    assert not path.exists()
    async with health_file("", get_log()) as ask:
        ask(lambda: "never asked")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", ["no directory", "a directory", "a link"])
async def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "there" / "health"
    if spoil != "no directory":
        path.parent.mkdir()
    if spoil == "a directory":
        path.mkdir()
    if spoil == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=f"--health-file {path} cannot be written: "):
        async with health_file(str(path), get_log()):
            pass
    assert not (tmp_path / "elsewhere").exists()


async def test_a_file_that_cannot_be_written_later_is_said_once(tmp_path: Path) -> None:
    told = Told()
    folder = tmp_path / "there"
    folder.mkdir()
    kept = HealthFile(str(folder / "health"), told)  # type: ignore[arg-type]
    await kept.run_once()
    (folder / "health").unlink()
    folder.rmdir()
    for _ in range(3):
        await kept.run_once()
    folder.mkdir()
    await kept.run_once()
    assert (folder / "health").exists()
    assert told.said == ["error health.not_written No such file or directory"]
