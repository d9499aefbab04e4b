"""The codec, beyond the rows of docs/values.md (test_values_table.py)."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import strategies as st

from durableq.words.codec import DEPTH_MAX, FORMAT, decode, encode, roundtrip
from durableq.words.errors import CodecError
from tests.fuzz import fuzz, prompt
from tests.words.sameness import same
from tests.words.sample_types import Colour
from tests.words.strategies import anything, storable

HALF_PAST_ONE = timezone(timedelta(hours=1, minutes=30))

# What release 0.1 wrote. These must be readable for ever: never change a line, only add.
STORED: list[tuple[str, Any]] = [
    ("01c0", None),
    ("0182a2696407a47461677391a161", {"id": 7, "tags": ["a"]}),
    ("01c403ff0001", b"\xff\x00\x01"),
    ("01c70301920102", (1, 2)),
    ("01d5029101", {1}),
    ("01d5039101", frozenset({1})),
    ("01c71904323032372d30312d33315430393a30303a30302b30313a3330", datetime(2027, 1, 31, 9, tzinfo=HALF_PAST_ONE)),
    ("01c71904323032372d30312d33315430393a30303a30302b30303a3030", datetime(2027, 1, 31, 9, tzinfo=UTC)),
    ("01c71404323032372d31302d33315430323a33303a30307e", datetime(2027, 10, 31, 2, 30, fold=1)),
    ("01c70a05323032372d30312d3331", date(2027, 1, 31)),
    ("01d70630393a33303a3030", time(9, 30)),
    ("01c70c07ffffffff0000000000000001", timedelta(days=-1, microseconds=1)),
    ("01d608312e3530", Decimal("1.50")),
    ("01d80912345678123456781234567812345678", UUID("12345678123456781234567812345678")),
    ("01c7090a010000000000000000", 2**64),
    ("01c7090aff7fffffffffffffff", -(2**63) - 1),
]


@pytest.mark.parametrize(("written", "value"), STORED)
def test_what_the_first_release_wrote_is_read(written: str, value: Any) -> None:
    blob = bytes.fromhex(written)
    assert same(decode(blob), value)
    assert encode(value) == blob


def test_unknown_format_names_both() -> None:
    with pytest.raises(CodecError, match=f"format 9, this release reads format {FORMAT}"):
        decode(b"\x09\xc0")


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x01",
        b"\x01\xc1",  # a byte that msgpack never uses
        b"\x01\xc0\xc0",  # two values
        b"\x01\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\x01" + b"\x91" * 5000,  # nested beyond any stack
        b"\x01\x81\x01\x01",  # a key that is a number
        b"\x01\x81\xc4\x01a\x01",  # a key that is bytes
        b"\x01\xa1\xff",  # text that is not UTF-8
        b"\x01\xd6\xff\x00\x00\x00\x01",  # msgpack's own timestamp
        b"\x01\xd4\x63\x00",  # an extension of tomorrow
        b"\x01\xd4\x01\x01",  # a tuple made of a number
        b"\x01\xd5\x02\x91\x90",  # a set that holds a list
        b"\x01\xd6\x08abcd",  # no decimal
        b"\x01\xd4\x09\x00",  # a UUID too short
        b"\x01\xc7\x0c\x07\x7f\xff\xff\xff" + bytes(8),  # a timedelta too long
        b"\x01\xc7\x04\x04abcd",  # no time
        b"\x01\xc7\x41\x04" + b"2" * 0x41,  # a time too long to be read
        b"\x01\xc7\x23\x042027-01-31T09:00:00+01:00:00.000001",  # an offset that encode refuses
    ],
)
def test_damaged_bytes_are_a_codec_error(damaged: bytes) -> None:
    with pytest.raises(CodecError), prompt():
        decode(damaged)


def test_extensions_nested_too_deep_are_refused() -> None:
    blob = b"\xc0"
    for _ in range(500):
        blob = msgpack.packb(msgpack.ExtType(1, b"\x91" + blob))
    with pytest.raises(CodecError), prompt():
        decode(b"\x01" + blob)


def test_depth_counts_every_container() -> None:
    value: Any = set()
    for level in range(DEPTH_MAX - 1):
        value = [[value], (value,), {"a": value}][level % 3]
    assert same(roundtrip(value), value)
    with pytest.raises(CodecError, match="nested deeper than 64"):
        encode([value])


def test_path_leads_to_the_member_at_fault() -> None:
    value = {"items": [1, 2, 3, {"when": ({"a b": [Colour.RED]},)}]}
    with pytest.raises(CodecError) as caught:
        encode(value, what="step 'charge' result")
    assert caught.value.path == ".items[3].when[0]['a b'][0]"
    assert str(caught.value).startswith("step 'charge' result.items[3].when[0]['a b'][0] is of type Colour and cannot")


def test_first_member_at_fault_is_named() -> None:
    with pytest.raises(CodecError) as caught:
        encode({"ok": 1, "first": {1}, "bad": 1j, "worse": Colour.RED})
    assert caught.value.path == ".bad"


def test_user_extension_types_are_refused() -> None:
    for foreign in (msgpack.ExtType(1, b"\x90"), msgpack.Timestamp(1)):
        with pytest.raises(CodecError):
            encode([foreign])


def test_value_that_cannot_be_shown_is_refused() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    for value in (Shy(), {Shy(): 1}, [2**20000, Shy()], {2**20000: 1}):
        with pytest.raises(CodecError):
            encode(value)


def test_list_that_changes_meanwhile_is_refused_or_stored() -> None:
    value = {str(n): n for n in range(1000)}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            value["x"] = 1
            value.pop("x", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            try:
                decode(encode(value))
            except CodecError:
                pass
    finally:
        stop.set()
        thread.join()


def test_threads_do_not_disturb_each_other() -> None:
    failures: list[object] = []

    def work(seed: int) -> None:
        value = {"seed": seed, "rows": [(n, datetime(2027, 1, 1 + n % 28)) for n in range(50)]}
        for _ in range(40):
            if roundtrip(value) != value:
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_result_is_no_alias_of_what_was_returned() -> None:
    value = {"list": [1]}
    again = roundtrip(value)
    value["list"].append(2)
    assert again == {"list": [1]}


def test_signalling_nan_is_kept() -> None:
    assert str(roundtrip(Decimal("-sNaN12"))) == "-sNaN12"


@fuzz(storable)
def test_roundtrip_keeps_value_and_types(value: Any) -> None:
    with prompt():
        again = roundtrip(value)
    assert same(again, value)


@fuzz(anything)
def test_anything_is_stored_exactly_or_refused(value: Any) -> None:
    with prompt():
        try:
            again = roundtrip(value)
        except CodecError:
            return
    assert same(again, value)


@fuzz(st.binary(max_size=200).map(b"\x01".__add__))
def test_any_bytes_are_a_value_or_a_codec_error(blob: bytes) -> None:
    with prompt():
        try:
            value = decode(blob)
        except CodecError:
            return
    assert same(roundtrip(value), value)


@fuzz(storable, st.data())
def test_damaged_blob_is_a_value_or_a_codec_error(value: Any, data: st.DataObject) -> None:
    blob = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(1, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with prompt():
        try:
            found = decode(bytes(blob))
        except CodecError:
            return
    assert same(roundtrip(found), found)
