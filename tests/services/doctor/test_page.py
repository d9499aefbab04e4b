"""docs/doctor.md says what the code says, and every kind of finding is produced by a test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from durableq.services.doctor.finding import BY_ID, CHECKS, KINDS
from durableq.services.doctor.flaws import AS_OF, FLAWS
from tests.durableq_command import REPOSITORY

PAGE = (REPOSITORY / "docs" / "doctor.md").read_text()


def rows(width: int) -> Iterator[list[str]]:
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.startswith("| ") and len(cells) == width and cells[0] not in ("id", "flaw"):
            yield cells


def test_the_page_has_every_finding_as_the_code_has_it() -> None:
    listed = [(row[0].strip("`"), row[1], row[2], row[3]) for row in rows(5)]
    assert listed == [(kind.id, kind.check, kind.severity.value, kind.means) for kind in KINDS]


def test_the_page_says_how_to_mend_each() -> None:
    assert [row[0] for row in rows(5) if not row[4]] == []


def test_the_page_has_every_flaw_with_its_releases_and_the_month() -> None:
    listed = [tuple(row) for row in rows(4)]
    assert listed == [
        (flaw.id, flaw.what, ", ".join(flaw.redis) or "-", ", ".join(flaw.valkey) or "-") for flaw in FLAWS
    ]
    assert f"As of {AS_OF}" in PAGE


def test_every_kind_belongs_to_a_check_in_their_order() -> None:
    assert len(BY_ID) == len(KINDS)
    places = [CHECKS.index(kind.check) for kind in KINDS]
    assert places == sorted(places)
    assert {kind.id for kind in KINDS} & {*CHECKS, "unseen"} == set()


def test_every_kind_is_produced_by_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    named = set(re.findall(r'"([a-z-]+)"', tests))
    assert [kind.id for kind in KINDS if kind.id not in named] == []
