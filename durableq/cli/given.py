"""Data given on the command line: JSON itself, `@FILE`, or `-` for stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

HOW: Final = "'@FILE' reads it from a file, '-' from stdin."


def json_given(text: str, what: str, kind: str = "JSON") -> Any:
    """The value in it. Raises click.UsageError, which names `what`."""
    if text == "-":
        source = sys.stdin.read()
    elif text.startswith("@"):
        try:
            source = Path(text[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise click.UsageError(f"{what} cannot be read from {text[1:]!r}: {reason}") from None
    else:
        source = text
    try:
        return json.loads(source)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{what} must be {kind}: {error}") from None


def object_given(text: str, what: str) -> dict[str, Any]:
    """The same, of an object. Raises click.UsageError."""
    value = json_given(text, what, "a JSON object")
    if not isinstance(value, dict):
        raise click.UsageError(f"{what} must be a JSON object, not {type(value).__name__}")
    return value
