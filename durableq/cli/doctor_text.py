"""Findings as people read them: problems first, then warnings, what is worth knowing, and what is in order."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from durableq.cli import texts
from durableq.cli.places import Found
from durableq.services.doctor.amounts import count
from durableq.services.doctor.finding import UNSEEN, Finding, Severity
from durableq.store.address import hide_password

WIDTH: Final = 110


def findings_text(findings: Sequence[Finding], found: Found) -> str:
    """All of it, with a line above and a line below."""
    where = f"{hide_password(found.redis_url)}, from {found.origin}; namespace {found.namespace!r}"
    groups = [[finding for finding in findings if finding.severity is severity] for severity in Severity]
    blocks = [_group(group) for group in groups if group]
    return "\n\n".join([where, *blocks, _sum(findings)])


def _group(findings: Sequence[Finding]) -> str:
    if findings[0].severity is Severity.OK:
        return "\n".join([Severity.OK.value, texts.table(*_columns(findings), indent="  ")])
    return "\n".join([findings[0].severity.value, *(_finding(finding) for finding in findings)])


def _columns(findings: Sequence[Finding]) -> tuple[tuple[str, str], list[tuple[str, str]]]:
    rows = [(finding.check, finding.seen) for finding in findings]
    return rows[0], rows[1:]


def _finding(finding: Finding) -> str:
    name = finding.check if finding.id == UNSEEN else finding.id
    lines = [*_wrapped(f"{name}: {texts.clean(finding.seen)}", "  ", "    "), *_wrapped(finding.means, "    ")]
    return "\n".join([*lines, *_wrapped(texts.clean(finding.mend), "    -> ", "       ")])


def _wrapped(text: str, first: str, others: str = "") -> list[str]:
    # Ids, flags and keys are to be copied, so they are not cut at their hyphens.
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others or first,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _sum(findings: Sequence[Finding]) -> str:
    def number(severity: Severity) -> int:
        return sum(finding.severity is severity for finding in findings)

    problems, warnings = number(Severity.PROBLEM), number(Severity.WARNING)
    return f"{count(problems, 'problem')}, {count(warnings, 'warning')}, {number(Severity.OK)} in order"
