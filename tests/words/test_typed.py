"""Typed values, beyond the rows of docs/values.md: shapes, changed releases, pydantic's corners."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, make_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, Union
from uuid import UUID

import pydantic
import pytest
from hypothesis import strategies as st

from durableq.words.codec import decode
from durableq.words.errors import CodecError
from durableq.words.typed import decode_typed, dump_data, encode_typed, load_data, result_type, roundtrip_typed
from tests.fuzz import fuzz, prompt
from tests.words.sameness import same
from tests.words.sample_types import (
    Account,
    Basket,
    Box,
    Boxes,
    Card,
    Colour,
    Customer,
    Order,
    Page,
    Refund,
    Shipment,
    Transfer,
    Tree,
)

ORDER = Order(7, Decimal("1.50"))
ADA = Customer(name="Ada", since=date(2027, 1, 31))
OrderId = NewType("OrderId", int)
ORDER_MAP = {"order_id": 7}


class Named(Protocol):
    """A protocol that cannot be asked for its instances."""

    name: str


@dataclass
class Anything:
    """Its field may be anything, which no union can tell apart."""

    value: Any
    named: Named | None = None


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (ORDER, Annotated[Order, "paid"]),
        ([ORDER], Sequence[Order]),
        ((ORDER,), Sequence[Order]),
        ({"a": ORDER}, Mapping[str, Order]),
        ((ORDER, 7, None), tuple[Order, int, None]),
        ((ORDER, ORDER), tuple[Order, ...]),
        ({ORDER}, set[Order]),
        (frozenset({ORDER}), frozenset[Order]),
        ({"owner": "ada", "orders": [ORDER]}, Basket),
        ([{"a": (None, {"b": [ORDER]})}], list[dict[str, tuple[None, dict[str, list[Order]]]]]),
        (Tree("a", [Tree("b"), Tree("c", [Tree("d")])]), Tree),
        (Shipment(Colour.GREEN, ORDER, {"x"}), Shipment),
        (Card("1"), Card | Transfer),
        (Transfer("1"), Card | Transfer),
        (5, Union[Order, int]),  # noqa: UP007
        ([None, ORDER], list[Optional[Order]]),  # noqa: UP045
        (Page([Page([1])]), Page[Page[int]]),
        (Boxes(Box(Page([ORDER]), Box(Page([ORDER]))), Box(Page([Refund(1)]))), Boxes),
        ({"any": 1}, Order | dict[str, int]),
        (OrderId(7), OrderId),
        (Anything(ORDER_MAP), Anything | None),
        ([Anything(1)], list[Anything] | str),
        (Anything("a"), Anything | Named),
        (Colour.RED, Literal[Colour.RED] | None),
        (None, Literal[Colour.RED] | None),
        ({1, (2, 3)}, set[int | tuple[int, int]]),
    ],
)
def test_structured_value_comes_back(value: Any, annotation: Any) -> None:
    blob, first = roundtrip_typed(value, annotation)
    assert same(first, value)
    assert same(decode_typed(blob, annotation), value)
    assert encode_typed(value, annotation) == blob


def test_dataclass_is_stored_as_a_plain_map() -> None:
    assert decode(encode_typed([Shipment(Colour.RED, ORDER)], list[Shipment])) == [
        {"colour": "red", "order": {"id": 7, "total": Decimal("1.50")}, "tags": set(), "weight": 0.0}
    ]


def test_path_of_a_typed_value_leads_to_the_member() -> None:
    with pytest.raises(CodecError) as caught:
        encode_typed({"all": [Shipment(Colour.RED, "none")]}, dict[str, list[Shipment]], what="step 'ship' result")  # type: ignore[arg-type]
    assert caught.value.path == "['all'][0].order"
    assert str(caught.value).startswith("step 'ship' result['all'][0].order is of type str, which the annotated union")
    with pytest.raises(CodecError) as caught:
        encode_typed(Refund(1j), Refund)  # type: ignore[arg-type]
    assert caught.value.path == ".id"


def test_field_that_never_was_set_stays_unset() -> None:
    @dataclass
    class Lazy:
        a: int
        b: int = field(init=False)

    back = roundtrip_typed(Lazy(1), Lazy)[1]
    assert back.a == 1
    assert not hasattr(back, "b")


def test_frozen_field_outside_the_constructor_comes_back() -> None:
    @dataclass(frozen=True)
    class Stamped:
        a: int
        at: datetime = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "at", datetime.now(UTC))

    value = Stamped(1)
    assert roundtrip_typed(value, Stamped)[1] == value


def test_constructor_that_changes_its_fields_is_refused() -> None:
    @dataclass
    class Doubling:
        a: int

        def __post_init__(self) -> None:
            self.a *= 2

    with pytest.raises(CodecError, match=r"\.a is 2 and would come back as 4"):
        encode_typed(Doubling(1), Doubling)


def test_constructor_that_cannot_be_called_is_refused() -> None:
    @dataclass
    class Hidden:
        a: int
        secret: InitVar[str]

    with pytest.raises(CodecError, match=r"cannot become a .*Hidden.*secret"):
        encode_typed(Hidden(1, "x"), Hidden)


def test_cycle_of_dataclasses_is_refused() -> None:
    tree = Tree("a")
    tree.children.append(tree)
    with pytest.raises(CodecError, match="contains itself"):
        encode_typed(tree, Tree)


def test_earlier_release_of_a_dataclass_is_read() -> None:
    old = make_dataclass("Parcel", [("id", int), ("gone", str)])
    new = make_dataclass("Parcel", [("id", int), ("note", str, field(default="-"))])
    blob = encode_typed(old(1, "x"), old)
    assert decode_typed(blob, new) == new(1, "-")
    assert decode_typed(blob, new | None) == new(1, "-")


def test_field_that_an_earlier_release_lacked_is_named() -> None:
    old = make_dataclass("Parcel", [("id", int)])
    new = make_dataclass("Parcel", [("id", int), ("weight", float)])
    with pytest.raises(CodecError, match="result has no weight, which Parcel needs"):
        decode_typed(encode_typed(old(1), old), new, what="result")


def test_enum_member_that_is_gone_is_named() -> None:
    fewer = Enum("Colour", {"GREEN": "green"})
    with pytest.raises(CodecError, match="'red', which is no value of Colour"):
        decode_typed(encode_typed(Colour.RED, Colour), fewer)


def test_any_field_does_not_hide_a_structured_value() -> None:
    with pytest.raises(CodecError, match=r"\.items\[0\] is of type Order and cannot be stored: annotate"):
        encode_typed(Page([ORDER]), Page)


def test_unresolvable_field_is_taken_as_it_is() -> None:
    half = make_dataclass("Half", [("a", "Nowhere"), ("b", "int")])
    assert roundtrip_typed(half([1], 2), half)[1] == half([1], 2)


def test_typed_dict_keeps_keys_it_does_not_declare() -> None:
    value = {"owner": "ada", "orders": [ORDER], "more": 1}
    assert roundtrip_typed(value, Basket)[1] == value


def test_plain_annotations_leave_values_alone() -> None:
    class Totals(TypedDict):
        sum: int

    for annotation in (Any, None, int, dict[str, int], list[Any], Totals, "Order", 5, Literal["a"], type, object):
        assert roundtrip_typed({"sum": 1, "t": (1,)}, annotation)[1] == {"sum": 1, "t": (1,)}


class Aliased(pydantic.BaseModel):
    order_id: int = pydantic.Field(alias="orderId")
    colour: Colour = Colour.RED
    link: pydantic.HttpUrl | None = None
    path: Path = Path("/tmp")
    by_id: dict[UUID, int] = {}
    at: datetime | None = None
    raw: bytes = b""

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.order_id * 2


ALIASED = Aliased.model_validate(
    {
        "orderId": 7,
        "link": "https://example.org/x",
        "by_id": {UUID(int=5): 1},
        "at": datetime(2027, 1, 1, tzinfo=UTC),
        "raw": b"\xff",
    }
)


def test_pydantic_corners_come_back() -> None:
    assert roundtrip_typed([ALIASED], list[Aliased])[1] == [ALIASED]


def test_alias_of_one_side_alone_comes_back_or_is_refused() -> None:
    class Lopsided(pydantic.BaseModel):
        seen_as: str = pydantic.Field("x", validation_alias="in")
        shown_as: str = pydantic.Field("y", serialization_alias="out")

    value = Lopsided(**{"in": "a", "shown_as": "b"})
    if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 11):
        assert roundtrip_typed(value, Lopsided)[1] == value
    else:
        with pytest.raises(CodecError, match=r"\.seen_as is 'a' and would come back as 'x'"):
            encode_typed(value, Lopsided)
    assert dump_data(value)["out"] == "b"


def test_strict_model_comes_back() -> None:
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True, extra="allow")
        colour: Colour
        id: UUID

    value = Strict(colour=Colour.RED, id=UUID(int=1), more=(1, 2))  # type: ignore[call-arg]
    assert roundtrip_typed(value, Strict | None)[1] == value


def test_private_attributes_of_a_model_are_not_stored() -> None:
    class Connected(pydantic.BaseModel):
        name: str
        _socket: object = pydantic.PrivateAttr(default_factory=object)

    assert roundtrip_typed(Connected(name="a"), Connected)[1].name == "a"


def test_model_that_fails_its_own_validation_is_refused() -> None:
    with pytest.raises(CodecError, match="does not pass pydantic's validation"):
        encode_typed(Customer.model_construct(name=5, since="x"), Customer)


def test_field_that_pydantic_leaves_out_is_refused() -> None:
    class Half(pydantic.BaseModel):
        a: int
        b: int = pydantic.Field(0, exclude=True)

    with pytest.raises(CodecError, match=r"\.b is 5 and would come back as 0"):
        encode_typed(Half(a=1, b=5), Half)


def test_value_that_is_not_of_the_model_is_refused() -> None:
    for value in (None, {"name": "Ada", "since": date(2027, 1, 31)}, 5):
        with pytest.raises(CodecError):
            encode_typed(value, Customer)


def test_event_data_goes_out_under_its_aliases() -> None:
    data = dump_data(ALIASED)
    assert data["orderId"] == 7
    assert data["colour"] == "red"
    assert data["link"] == "https://example.org/x"


def test_event_data_is_made_a_map() -> None:
    assert dump_data(ORDER) == {"id": 7, "total": Decimal("1.50")}
    assert dump_data(Account(ADA))["owner"]["name"] == "Ada"
    assert dump_data(make_dataclass("Holder", [("inner", Aliased)])(ALIASED))["inner"]["orderId"] == 7
    assert dump_data({"a": 1}) == {"a": 1}
    assert type(dump_data(MappingProxyType({"a": 1}))) is dict


def test_data_becomes_the_annotated_type() -> None:
    assert load_data({"id": 7, "total": Decimal(1)}, Order) == Order(7, Decimal(1))
    assert load_data({"name": "Ada", "since": "2027-01-31"}, Customer) == ADA
    with pytest.raises(CodecError, match="data does not pass pydantic's validation"):
        load_data({"name": 5}, Customer)


def test_pydantic_is_not_imported_without_need() -> None:
    code = """
import sys
sys.modules["pydantic"] = None
from dataclasses import dataclass
from typing import Optional
from durableq.words.typed import roundtrip_typed, result_type
@dataclass
class A:
    x: int
    inner: "Optional[A]" = None
def f() -> list[A]: ...
assert roundtrip_typed([A(1, A(2))], result_type(f))[1] == [A(1, A(2))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


# Compiled here, as a worker does once and not for each value; pydantic takes tens of milliseconds for its own.
MIXED = result_type(None, list[Tree | Shipment])
CUSTOMERS = result_type(None, dict[str, Customer])

trees = st.recursive(
    st.builds(Tree, st.text(max_size=5)),
    lambda inner: st.builds(Tree, st.text(max_size=5), st.lists(inner, max_size=3)),
    max_leaves=8,
)
shipments = st.builds(
    Shipment,
    st.sampled_from(Colour),
    st.none() | st.builds(Order, st.integers(), st.decimals(allow_nan=False)),
    st.sets(st.text(max_size=4), max_size=3),
)


@fuzz(st.lists(trees | shipments, max_size=3))
def test_structured_values_round_trip(value: Any) -> None:
    with prompt():
        back = roundtrip_typed(value, MIXED)[1]
    assert same(back, value)


@fuzz(st.builds(Customer, name=st.text(max_size=9), since=st.dates(), extra=st.none() | st.integers() | st.binary()))
def test_models_round_trip(value: Any) -> None:
    with prompt():
        back = roundtrip_typed({"a": value}, CUSTOMERS)[1]
    assert back == {"a": value}
