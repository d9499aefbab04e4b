"""The example app, without a server: `durableq_env` is a TestEnv of it, and the world outside has a database per test."""

from __future__ import annotations

from pathlib import Path

import pytest

import durableq as dq
from workers.shop import app


@pytest.fixture
def durableq_app() -> dq.App:
    """What `durableq_env` tests."""
    return app


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank, a warehouse and a postman who remember nothing of other tests."""
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.sqlite"))
