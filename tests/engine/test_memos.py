"""What a turn knows of its run's record is complete up to `seen`, in whatever order it hears of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from durableq.engine.memos import Memos
from durableq.model.memo import Memo, MemoKind


def memo(number: int, blob: bytes = b"x") -> Memo:
    return Memo(number, 0, MemoKind.DATA, blob)


@given(st.permutations(list(range(4, 12))))
def test_seen_is_the_last_number_without_a_gap(order: list[int]) -> None:
    memos = Memos({}, 3)
    heard = set()
    for number in order:
        memos.learn(str(number), memo(number))
        heard.add(number)
        assert memos.seen == max(n for n in range(3, 12) if all(k in heard for k in range(4, n + 1)))
    assert memos.seen == 11


def test_the_same_news_twice_is_known() -> None:
    memos = Memos({}, 0)
    assert memos.learn("a", memo(1))
    assert not memos.learn("a", memo(1))
    assert memos.size_bytes == 1


def test_an_older_memo_of_a_step_changes_nothing_but_its_number_counts() -> None:
    memos = Memos({}, 0)
    memos.learn("a", memo(2, b"result"))
    assert not memos.knows(2)
    assert not memos.learn("a", Memo(1, 0, MemoKind.RETRYING, b""))
    assert memos.by_key["a"].blob == b"result"
    assert memos.knows(2)


def test_the_late_end_of_an_earlier_delay_does_not_end_the_one_that_has_begun_since() -> None:
    memos = Memos({}, 0)
    memos.began("a", Memo(0, 0, MemoKind.RETRYING, b"attempt 2"))
    assert not memos.learn("a", Memo(1, 0, MemoKind.RETRYING, b"attempt 1"))
    assert memos.by_key["a"].blob == b"attempt 2"
    assert memos.seen == 1
    assert memos.learn("a", Memo(2, 0, MemoKind.RETRYING, b"attempt 2"))


def test_a_wait_that_has_ended_does_not_begin_again_when_its_reply_is_late() -> None:
    memos = Memos({}, 0)
    memos.learn("a", Memo(1, 0, MemoKind.ABANDONED, b"x"))
    memos.began("a", Memo(0, 0, MemoKind.SLEEPING, b""))
    assert memos.by_key["a"].kind is MemoKind.ABANDONED


def test_a_gap_that_nothing_can_fill_is_bridged() -> None:
    memos = Memos({}, 0)
    memos.learn("a", memo(3))
    assert not memos.knows(3)
    memos.bridge()
    assert memos.seen == 3


def test_size_follows_what_is_replaced() -> None:
    memos = Memos({"a": Memo(0, 0, MemoKind.RETRYING, b"1234")}, 0)
    memos.began("a", Memo(0, 0, MemoKind.RETRYING, b"12"))
    assert memos.size_bytes == 2
    memos.learn("a", memo(1, b"123"))
    assert memos.size_bytes == 3


def test_what_was_read_after_the_claim_counts_as_known() -> None:
    memos = Memos({"a": memo(1), "b": memo(2), "d": memo(4)}, 1)
    assert memos.knows(2)
    assert not memos.knows(4)
    memos.bridge()
    assert memos.knows(4)
