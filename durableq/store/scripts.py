"""Loads the Lua: one file per transition, whose header binds its keys, arguments and includes by name.

A header is the comment at the top of a file, `-- field: text` with continuation lines indented after `--`:

    -- verb_noun: one sentence.                      the first line; the verb is the file's name
    -- transition: RUNNING -> WAITING, …             rows of model/run.py's TRANSITIONS
    -- keys: meta, run(id), …                        names of keys.py; a family becomes a function
    -- include: holds, …                             files of lua/lib, one function each
    -- rarely: answer_parent, …                      the same, of what few calls need: made when it is first called
    -- args: lease_id:str, limit:int                 bound to locals, ints as numbers
    -- items: id:str, epoch:int                      a repeated group; read by `item(i)`, counted by ITEMS
    -- admission: …                                  may be refused when memory is full (else: goes through)
    -- identity: …                                   does not check the namespace's identity
    -- returns: …    -- errors: CODE when …

What the loader writes before the body: the base key, the identity check (STATE_LOST), the clock (server time, or the
override that tests pass), the write that lets a script through when memory is full, the bindings, the includes.

Redis compiles a script once, but each call makes its functions and keys anew, at 0.2 us each. So what a call needs rarely
stands, with all that it needs itself, keys too, inside one function, and within that what it needs rarely again: a run that
ends is not to pay for what a child's end does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from itertools import chain
from types import MappingProxyType
from typing import Final

from durableq.store.keys import BY_NAME, GROUP

PRELUDE: Final = "prelude.lua"
_FIELDS: Final = (
    "transition",
    "keys",
    "include",
    "rarely",
    "args",
    "items",
    "admission",
    "identity",
    "returns",
    "errors",
)
_ARGUMENT = re.compile(r"([a-z_]+):(str|int|bytes)\Z")
_KEY = re.compile(r"([a-z_]+)(?:\(([a-z]+)\))?\Z")


class HeaderError(Exception):
    """A Lua file's header breaks the grammar, or names what does not exist."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a Lua file says of itself."""

    name: str
    sentence: str
    transitions: tuple[str, ...]
    keys: tuple[str, ...]
    includes: tuple[str, ...]
    rarely: tuple[str, ...]
    args: tuple[tuple[str, str], ...]
    items: tuple[tuple[str, str], ...]
    admission: bool
    checks_identity: bool
    returns: str
    errors: str


@dataclass(frozen=True, slots=True)
class Script:
    """A script ready to be sent: its full text and the hash under which Redis knows it."""

    header: Header
    text: str
    sha: str

    @property
    def name(self) -> str:
        return self.header.name


def parse_header(name: str, text: str) -> Header:
    """Read the comment at the top of a file. Raises HeaderError."""
    fields: dict[str, str] = {}
    sentence, current = "", ""
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("--"):
            break
        body = line[2:]
        field = re.match(r" ([a-z_]+): (.*)", body)
        if number == 0:
            if not field or field[1] != name:
                first = re.match(r" ([a-z_]+)\(.*?\): (.*)", body)
                if not first or first[1] != name:
                    raise HeaderError(f"{name}.lua: the first line must be '-- {name}: …'")
                sentence = first[2]
            else:
                sentence = field[2]
        elif field and field[1] in _FIELDS:
            current = field[1]
            if current in fields:
                raise HeaderError(f"{name}.lua: '{current}' twice")
            fields[current] = field[2].strip()
        elif current and body.startswith("   "):
            fields[current] += " " + body.strip()
        else:
            current = ""
    return Header(
        name=name,
        sentence=sentence,
        transitions=_names(fields.get("transition", "")),
        keys=tuple(_key(name, text) for text in _names(fields.get("keys", ""))),
        includes=_names(fields.get("include", "")),
        rarely=_names(fields.get("rarely", "")),
        args=tuple(_argument(name, text) for text in _names(fields.get("args", ""))),
        items=tuple(_argument(name, text) for text in _names(fields.get("items", ""))),
        admission="admission" in fields,
        checks_identity="identity" not in fields,
        returns=fields.get("returns", ""),
        errors=fields.get("errors", ""),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _key(script: str, text: str) -> str:
    found = _KEY.match(text)
    if not found or found[1] not in BY_NAME:
        raise HeaderError(f"{script}.lua: no key {text!r} in keys.py")
    if (found[2] or "") != BY_NAME[found[1]].argument:
        raise HeaderError(f"{script}.lua: key {found[1]} is keyed by {BY_NAME[found[1]].argument!r}, not {found[2]!r}")
    return found[1]


def _argument(script: str, text: str) -> tuple[str, str]:
    found = _ARGUMENT.match(text)
    if not found:
        raise HeaderError(f"{script}.lua: argument {text!r} is not name:str, name:int or name:bytes")
    return found[1], found[2]


def _composed(header: Header, body: str, library: Mapping[str, tuple[Header, str]], prelude: str) -> str:
    at_once = _needed(header.name, header.includes, library)
    used = [*at_once, *_needed(header.name, _rare(header, at_once, library), library, rarely=True)]
    keys = dict.fromkeys(header.keys)
    for name in used:
        keys.update(dict.fromkeys(library[name][0].keys))
    missing = [key for key in keys if key not in header.keys]
    if missing:
        raise HeaderError(f"{header.name}.lua: its includes touch {', '.join(missing)}, which its keys do not name")
    hidden = [name for name, _ in (*header.args, *header.items) if name in header.keys]
    if hidden:
        raise HeaderError(f"{header.name}.lua: its argument {hidden[0]} would hide the key of that name")
    always = _mentioned(keys, "\n".join([*(library[name][1] for name in at_once), body]))
    lines = ["local BASE, GROUP = KEYS[1], '" + GROUP + "'"]
    lines += [_binding(name) for name in dict.fromkeys(("meta", "scratch", *always))]
    lines.append(_prelude(prelude, header))
    for index, (name, kind) in enumerate(header.args, start=3):
        lines.append(f"local {name} = " + (f"tonumber(ARGV[{index}])" if kind == "int" else f"ARGV[{index}]"))
    if header.items:
        width, first = len(header.items), 3 + len(header.args)
        values = [
            f"tonumber(ARGV[at + {offset}])" if kind == "int" else f"ARGV[at + {offset}]"
            for offset, (_, kind) in enumerate(header.items)
        ]
        lines.append(f"local ITEMS = (#ARGV - {first - 1}) / {width}")
        lines.append(
            "if ITEMS % 1 ~= 0 then return redis.error_reply('ERR ' .. #ARGV .. ' arguments do not fit the items') end"
        )
        lines.append(f"local function item(i) local at = {first} + (i - 1) * {width} return {', '.join(values)} end")
    late_keys = [key for key in keys if key not in always]
    lines += _definitions(header, at_once, late_keys, library)
    lines.append(body)
    return "\n".join(lines)


def _definitions(
    header: Header, at_once: list[str], late_keys: list[str], library: Mapping[str, tuple[Header, str]]
) -> list[str]:
    """Every include, each behind what it needs; what is needed rarely as a function that makes itself."""
    lines: list[str] = []
    defined: list[str] = []

    def define(name: str) -> None:
        if name in defined:
            return
        late = name not in at_once
        needs = _needed(name, (name,), library, rarely=True) if late else []
        for other in (*needs, *library[name][0].includes, *library[name][0].rarely):
            if other != name and (not late or other in at_once):
                define(other)
        lines.append(_made_late(name, defined, late_keys, library) if late else library[name][1])
        defined.append(name)

    for name in (*header.includes, *header.rarely):
        define(name)
    return lines


def _made_late(name: str, known: Sequence[str], keys: list[str], library: Mapping[str, tuple[Header, str]]) -> str:
    """A function that defines itself, and what it needs, when it is first called; within it, what that needs rarely too."""
    seen = [*known, name]
    parts: list[tuple[str, list[str] | None]] = []

    def add(one: str) -> None:
        for other in library[one][0].includes:
            if other not in seen:
                add(other)
        for other in library[one][0].rarely:
            if other not in seen:
                parts.append((other, list(seen)))
                seen.append(other)
        parts.append((one, None))
        if one != name:
            seen.append(one)

    add(name)
    bound = _mentioned(keys, "\n".join(library[one][1] for one, late in parts if late is None))
    left = [key for key in keys if key not in bound]
    inner = [library[one][1] if late is None else _made_late(one, late, left, library) for one, late in parts]
    made = f"{name}_made"
    return "\n".join(
        [
            f"local {made}",
            f"local function {name}(...)",
            f"if not {made} then",
            *(_binding(key) for key in bound),
            *inner,
            f"{made} = {name}",
            "end",
            f"return {made}(...)",
            "end",
        ]
    )


def _mentioned(keys: Iterable[str], text: str) -> list[str]:
    words, called = set(re.findall(r"[a-z_]+", text)), set(re.findall(r"([a-z_]+)\(", text))
    return [key for key in keys if key in (called if BY_NAME[key].argument else words)]


def _rare(header: Header, at_once: list[str], library: Mapping[str, tuple[Header, str]]) -> list[str]:
    """What this script and its includes need rarely, and nothing of it needs at once."""
    found = dict.fromkeys(chain(header.rarely, *(library[name][0].rarely for name in at_once)))
    return [name for name in found if name not in at_once]


def _needed(
    wanted_by: str, names: Iterable[str], library: Mapping[str, tuple[Header, str]], *, rarely: bool = False
) -> list[str]:
    """These, each behind what it includes; with `rarely` also behind what it needs rarely."""
    ordered: list[str] = []

    def add(name: str, wanted_by: str) -> None:
        if name not in library:
            raise HeaderError(f"{wanted_by}.lua: no include {name!r} in lua/lib")
        header = library[name][0]
        for inner in (*header.includes, *(header.rarely if rarely else ())):
            add(inner, name)
        if name not in ordered:
            ordered.append(name)

    for name in names:
        add(name, wanted_by)
    return ordered


def _prelude(text: str, header: Header) -> str:
    """The prelude with the parts that this header asks for."""
    wanted = {"identity": header.checks_identity, "admission": header.admission, "passage": not header.admission}
    lines, taking = [], True
    for line in text.splitlines():
        if line.startswith("--["):
            taking = wanted[line[3:]]
        elif line == "--]":
            taking = True
        elif taking and not line.startswith("--"):
            lines.append(line)
    return "\n".join(lines)


def _binding(name: str) -> str:
    key = BY_NAME[name]
    if key.argument:
        return f"local function {name}(argument) return BASE .. '{key.suffix}' .. argument end"
    return f"local {name} = BASE .. '{key.suffix}'"


def load_scripts() -> Mapping[str, Script]:
    """Every script of the package by name, composed and hashed. Raises HeaderError."""
    folder = files("durableq.store") / "lua"
    prelude = (folder / "lib" / PRELUDE).read_text("utf-8")
    library = {}
    for entry in (folder / "lib").iterdir():
        if entry.name.endswith(".lua") and entry.name != PRELUDE:
            text = entry.read_text("utf-8")
            header = parse_header(entry.name[:-4], text)
            library[header.name] = (header, _without_comments(text))
    scripts = {}
    for entry in folder.iterdir():
        if entry.name.endswith(".lua"):
            text = entry.read_text("utf-8")
            header = parse_header(entry.name[:-4], text)
            composed = _composed(header, _without_comments(text), library, prelude)
            scripts[header.name] = Script(header, composed, sha1(composed.encode(), usedforsecurity=False).hexdigest())
    return MappingProxyType(scripts)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
