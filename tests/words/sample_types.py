"""Types that the rows of docs/values.md and the tests of typed values use."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Generic, Literal, TypedDict, TypeVar

from pydantic import BaseModel, SecretStr

T = TypeVar("T")

Point = namedtuple("Point", "x y")


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    HIGH = 3


class Name(str):
    pass


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    total: Decimal


@dataclass(frozen=True)
class Express(Order):
    hours: int = 24


@dataclass
class Refund:
    id: int


@dataclass
class Cancelled:
    id: int


@dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclass
class Transfer:
    number: str
    kind: Literal["transfer"] = "transfer"


@dataclass
class Page(Generic[T]):
    items: list[T]
    next: str | None = None


@dataclass
class Box(Generic[T]):
    page: Page[T]
    more: Box[T] | None = None


@dataclass
class Boxes:
    orders: Box[Order]
    refunds: Box[Refund]


@dataclass
class Shipment:
    colour: Colour
    order: Order | None
    tags: set[str] = field(default_factory=set)
    weight: float = field(init=False, default=0.0)


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


class Basket(TypedDict):
    owner: str
    orders: list[Order]


class Customer(BaseModel):
    name: str
    since: date
    extra: Any = None


class Vip(Customer):
    level: int


class Login(BaseModel):
    user: str
    password: SecretStr


@dataclass
class Account:
    owner: Customer


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value
