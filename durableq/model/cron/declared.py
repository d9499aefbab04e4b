"""Cron triggers as declarations have them, for the schedule."""

from __future__ import annotations

from collections.abc import Mapping

from durableq.words import codec
from durableq.words.errors import CodecError


def crons_of(declarations: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of declarations by function id, the cron triggers by `id key`, each encoded: what the schedule compares."""
    found = {}
    for function, blob in declarations.items():
        try:
            declared = codec.decode(blob)
        except CodecError:
            continue  # whoever wrote it so knows no cron triggers
        for trigger in declared["triggers"]:
            if "cron" in trigger:
                found[f"{function} {trigger['key']}"] = codec.encode(trigger, what="cron trigger")
    return found
