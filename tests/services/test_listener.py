"""The listener: what it does with a ring, and when it listens again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.services.listener import ANSWERING_S, GONE_PAUSE_S, Listener
from durableq.store.bells import SILENCE, Bells, Rung
from durableq.store.failures import BellGone

NEWS = [("run-1", "key", Memo(4, 1_000, MemoKind.WOKEN, b""))]


class ScriptedBells:
    """Answers each wait with the next of what it was given, and keeps what was asked."""

    def __init__(self, *answers: Rung | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def wait(self, **wanted: Any) -> Rung:
        self.asked.append(wanted)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def listener(bells: ScriptedBells, heard: list[object], *, wanting: bool = True, alone: bool = False) -> Listener:
    return Listener(
        cast(Bells, bells),
        cast(Any, SimpleNamespace(wanting=wanting, lease="lease-1")),
        ("shop",),
        alone=alone,
        ready=lambda: heard.append("ready"),
        events_wait=lambda backlog: heard.append(("events", backlog)),
        posts_wait=lambda: heard.append("posts"),
        deliver=lambda run_id, key, memo: heard.append((run_id, key, memo)),
        cancelled=lambda run_id, why: heard.append((run_id, why)),
        inbox_gone=lambda: heard.append("gone"),
    )


async def test_only_a_ring_that_says_so_sends_anybody_to_look_for_deliveries() -> None:
    """A namespace in which nothing waits would pay a call of Redis with each ring."""
    heard: list[object] = []
    bells = ScriptedBells(SILENCE._replace(events=True), SILENCE._replace(events=True, posts=True))
    listening = listener(bells, heard)
    await listening.run_once()
    assert heard == [("events", None)]
    await listening.run_once()
    assert heard == [("events", None)] * 2 + ["posts"]


@pytest.mark.parametrize("rung", [SILENCE._replace(events=True), SILENCE._replace(ready=True)])
async def test_a_ring_is_answered_before_the_bells_are_read_again(rung: Rung) -> None:
    # Else the bell that our own routing rings is heard at once, and its claim goes before the first step's record.
    heard: list[object] = []
    assert await listener(ScriptedBells(rung), heard).run_once() == ANSWERING_S
    assert len(heard) == 1


@pytest.mark.parametrize("rung", [SILENCE, SILENCE._replace(news=NEWS)])
async def test_silence_and_news_are_followed_by_the_next_read_at_once(rung: Rung) -> None:
    heard: list[object] = []
    assert await listener(ScriptedBells(rung), heard).run_once() == 0.0
    assert heard == list(rung.news)


async def test_without_free_places_the_bell_of_ready_runs_is_left_to_others() -> None:
    bells = ScriptedBells(SILENCE)
    await listener(bells, [], wanting=False).run_once()
    assert (bells.asked[0]["apps"], bells.asked[0]["events"]) == ((), True)


async def test_a_child_for_suspects_reads_its_inbox_alone() -> None:
    bells = ScriptedBells(SILENCE)
    await listener(bells, [], alone=True).run_once()
    assert (bells.asked[0]["apps"], bells.asked[0]["events"], bells.asked[0]["inbox"]) == ((), False, "lease-1")


async def test_an_inbox_that_is_gone_is_said_and_waited_for() -> None:
    heard: list[object] = []
    assert await listener(ScriptedBells(BellGone("gone")), heard).run_once() == GONE_PAUSE_S
    assert heard == ["gone"]
