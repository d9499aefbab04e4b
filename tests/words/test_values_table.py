"""Each row of the table in docs/values.md, tried."""

from __future__ import annotations

import collections
import datetime
import re
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from durableq.words.errors import CodecError
from durableq.words.typed import decode_typed, encode_typed, result_type, roundtrip_typed
from tests.words import sample_types
from tests.words.sameness import same

PAGE = Path(__file__).parents[2] / "docs" / "values.md"
NAMES: dict[str, Any] = {
    **vars(datetime),
    **vars(sample_types),
    "OrderedDict": collections.OrderedDict,
    "UUID": UUID,
    "ZoneInfo": ZoneInfo,
}


def rows() -> list[tuple[str, str, str, str]]:
    """(value, annotation, outcome, remarks) of each row, code without its back-ticks."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [
        (value.strip(" `"), annotation.strip(" `").replace("\\|", "|"), outcome.strip(" `"), remarks.strip())
        for value, annotation, outcome, remarks in cells
    ]


def test_the_table_is_read_whole() -> None:
    assert len(rows()) > 50


@pytest.mark.parametrize(("text", "annotation_text", "outcome", "remarks"), rows())
def test_row_of_the_table_is_true(text: str, annotation_text: str, outcome: str, remarks: str) -> None:
    value = eval(text, NAMES)
    annotation = result_type(None, eval(annotation_text, NAMES) if annotation_text else None)
    if outcome == "refused":
        with pytest.raises(CodecError) as caught:
            encode_typed(value, annotation)
        quoted = re.search(r"`([^`]+)`", remarks)
        assert quoted is None or quoted[1] in str(caught.value)
        return
    expected = value if outcome == "the same" else eval(outcome, NAMES)
    blob, first = roundtrip_typed(value, annotation)
    assert same(first, expected)
    assert same(decode_typed(blob, annotation), expected)
