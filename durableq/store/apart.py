"""Results that a reply has left out, since it would have been too long (lib/tell_memo.lua): read one by one.

Only the holder of a run may rely on them. A result is never overwritten, so it is the one that was meant; one that is not there
is of a run that is gone, and what its holder does next is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durableq.model.memo import Memo
from durableq.store import records
from durableq.store.calls import Calls
from durableq.store.records import News, NotYet, Recorded


async def with_news(calls: Calls, answers: list[Any], runs: Sequence[str]) -> list[Any]:
    """These answers, one for each of these runs, with every result that their news names only."""
    found: list[Any] = []
    for answer, run_id in zip(answers, runs, strict=True):
        if isinstance(answer, Recorded | NotYet):
            found.append(answer._replace(news=await _whole(calls, answer.news, run_id)))
        else:
            found.append(await _whole(calls, answer, run_id) if isinstance(answer, list) else answer)
    return found


async def _whole(calls: Calls, news: News, run_id: str) -> list[tuple[str, Memo]]:
    found: list[tuple[str, Memo]] = []
    for key, memo in news:
        if memo is not records.APART:
            found.append((key, memo))
            continue
        raw = await calls.read("HGET", calls.key("steps", run_id), key)
        if raw is not None:
            found.append((key, records.memo(raw)))
    return found
