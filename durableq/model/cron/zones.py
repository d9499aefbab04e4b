"""Time zones of cron triggers: `timezone="Europe/Paris"`, or `TZ=Europe/Paris ` before the expression."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from durableq.words.errors import ConfigError
from durableq.words.shown import shown

UTC: Final = "UTC"
_PREFIX = re.compile(r"\s*(?:CRON_)?TZ=(\S*)\s*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,63}(?:/[A-Za-z0-9_+-]{1,64}){0,2}\Z")
# Files that lie beside the zones: of this machine, of a clock with leap seconds, or of no place.
_NOT_ZONES: Final = ("localtime", "posixrules", "Factory")
_NOT_FOLDERS: Final = ("posix/", "right/")


def split_zone(text: str) -> tuple[str | None, str]:
    """The zone in front of an expression, and the expression without it."""
    found = _PREFIX.match(text)
    return (found[1], text[found.end() :]) if found else (None, text)


def read_zone(name: object) -> ZoneInfo:
    """The zone of this name.

    Raises:
        ConfigError: With the value, and the nearest name that would do.
    """
    if not isinstance(name, str):
        raise ConfigError(f"CronTrigger timezone must be a name such as 'Europe/Paris', not {shown(name)}")
    if _NAME.match(name) and name not in _NOT_ZONES and not name.startswith(_NOT_FOLDERS):
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):  # LookupError: ZoneInfoNotFoundError; OSError: a folder of zones
            pass
    raise ConfigError(f"CronTrigger timezone {shown(name)} is not known{_near(name)}")


def _near(name: str) -> str:
    known = {zone.lower(): zone for zone in available_timezones()}
    if not known:
        return ": this machine has no time zones at all; install the package tzdata"
    near = get_close_matches(name[:64].lower(), known, n=1, cutoff=0.6)
    return f": {known[near[0]]!r} would do" if near else ": write a name such as 'Europe/Paris' or 'UTC'"
