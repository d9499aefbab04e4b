"""docs/from-inngest.md has every name of inngest-py, and a name that is given to durableq raises an error that says ours."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from typing import Any

import pytest

import durableq as dq
from durableq.words.familiar import familiar
from durableq.words.theirs import MODULE, TABLE, Ours
from tests.durableq_command import REPOSITORY
from tests.porting.names import NAMES, Name

PAGE = (REPOSITORY / "docs" / "from-inngest.md").read_text()

# Where what stands there is found here.
CLASSES = {
    "Inngest(…)": "App",
    "client": "App",
    "client.send": "App",
    "client.send_sync": "App",
    "create_function": "App",
    "Function": "Function",
    "ctx": "Context",
    "Batch": "Batch",
    "Cancel": "CancelOn",
    "TriggerEvent": "EventTrigger",
    "Event": "Event",
    "NonRetriableError": "NonRetriableError",
    "RetryAfterError": "RetryAfterError",
}
NEEDED = {"RetryAfterError": ("late", 5)}  # what must be given besides
VERBS = {"client.send": "send", "client.send_sync": "send_sync", "create_function": "function"}
HOMES = {"Step": "durableq.engine.steps", "SyncStep": "durableq.engine.sync"}


def _class(name: str) -> Any:
    return getattr(importlib.import_module(HOMES[name]), name) if name in HOMES else getattr(dq, name)


def _of(name: Name) -> tuple[str, str]:
    """The class of ours, and the verb, that a row of NAMES is about."""
    if name.where.startswith("ctx.step"):
        return "Step", name.where.removeprefix("ctx.step").lstrip(".")
    return CLASSES[name.where], VERBS.get(name.where, "__init__")


def _id(name: Name) -> str:
    return f"{name.where}-{name.name}"


def _mapped() -> dict[tuple[str, str], str]:
    found = {}
    for line in PAGE.partition("\n## Every name\n")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            for where in re.findall(r"`([^`]+)`", cells[0]):
                for name in re.findall(r"`([^`]+)`", cells[1]):
                    found[where, name] = cells[2]
    return found


MAPPED = _mapped()


def test_the_first_line_says_what_a_bare_number_is() -> None:
    assert "a bare number is milliseconds there and seconds here" in PAGE.splitlines()[0]


@pytest.mark.parametrize("name", NAMES, ids=_id)
def test_the_page_says_what_becomes_of_it(name: Name) -> None:
    assert MAPPED.get((name.where, name.name)), f"docs/from-inngest.md lacks `{name.name}` of `{name.where}`"


def test_the_page_has_no_name_that_is_not_theirs() -> None:
    assert set(MAPPED) == {(name.where, name.name) for name in NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if name.kind == "module"], ids=_id)
def test_a_name_of_the_module_says_ours(name: Name) -> None:
    _check(MODULE[name.name], name.name, lambda: getattr(dq, name.name))
    with pytest.raises(dq.ConfigError, match=rf"^durableq: {name.name} is inngest-py's"):
        exec(f"from durableq import {name.name}")  # not an ImportError that hides the message


@pytest.mark.parametrize("name", [name for name in NAMES if name.kind == "same" and name.where == "inngest"], ids=_id)
def test_a_name_that_is_the_same_is_there(name: Name) -> None:
    assert name.name in dq.__all__


@pytest.mark.parametrize("name", [name for name in NAMES if name.kind == "keyword"], ids=_id)
def test_a_keyword_says_ours(name: Name) -> None:
    of, verb = _of(name)
    ours = TABLE[of].keywords[verb][name.name]
    for cls in (of, "SyncStep") if of == "Step" else (of,):
        called = _class(cls) if verb == "__init__" else getattr(_blank(cls), verb)
        _check(ours, f"{name.name}=", lambda called=called: _done(called(*NEEDED.get(of, ()), **{name.name: 5})))


@pytest.mark.parametrize("name", [name for name in NAMES if name.kind == "attribute"], ids=_id)
def test_an_attribute_says_ours(name: Name) -> None:
    of, _ = _of(name)
    for cls in {"Step": ("Step", "SyncStep"), "Context": ("Context", "SyncContext"), "App": ("App", "Client")}.get(
        of, (of,)
    ):
        ours = {**TABLE[cls].attributes, **TABLE[cls].of_class}[name.name]
        asked = _blank(cls)
        _check(ours, name.name, lambda asked=asked: getattr(asked, name.name))
        assert not hasattr(asked, name.name)


@pytest.mark.parametrize("where", ["Client", "App"])
def test_what_makes_a_client_knows_their_options(where: str) -> None:
    for name, ours in TABLE[where].keywords["__init__"].items():
        _check(ours, f"{name}=", lambda name=name: _class(where)(**{name: "x"}))


def test_all_that_the_table_knows_is_tested() -> None:
    tested = {(*_of(name), name.name) for name in NAMES if name.kind == "keyword"}
    known = {
        (of, verb, name) for of, names in TABLE.items() for verb in names.keywords for name in names.keywords[verb]
    }
    beside = {"Client", "SyncStep"}  # the same as App and Step
    # `match` is TypeScript's, and people find it in Inngest's pages; function_id and app_id belong to invoke_by_id.
    also = {("Step", "wait_for_event", "match"), ("Step", "invoke", "function_id"), ("Step", "invoke", "app_id")}
    assert {row for row in known if row[0] not in beside} == tested | also
    assert set(MODULE) == {name.name for name in NAMES if name.kind == "module"}


@pytest.mark.parametrize("of", sorted(TABLE))
def test_no_name_of_theirs_is_one_of_ours(of: str) -> None:
    """A row that was forgotten when the option came would hide the option."""
    cls = _class(of)
    for verb, names in TABLE[of].keywords.items():
        accepted = inspect.signature(getattr(cls, verb)).parameters
        assert not set(names) & set(accepted), verb
    # As for attributes, `familiar` itself refuses to hide one.


def test_an_attribute_that_has_come_since_is_not_hidden() -> None:
    class Function:
        pass

    name = next(iter(TABLE["Function"].attributes))
    setattr(Function, name, None)
    with pytest.raises(TypeError, match="is ours by now"):
        familiar(Function)


def test_no_name_of_their_module_is_one_of_ours() -> None:
    assert not set(MODULE) & set(dq.__all__)


@pytest.mark.parametrize("of", sorted(TABLE))
def test_a_name_of_nobodys_is_refused_as_python_does(of: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'nobodys'") as caught:
        _blank(of).nobodys
    assert not isinstance(caught.value, dq.ConfigError)
    with pytest.raises(TypeError, match="keyword argument"):
        _class(of)(*NEEDED.get(of, ()), nobodys=1)


@pytest.mark.parametrize(("of", "verb"), [(of, verb) for of in sorted(TABLE) for verb in TABLE[of].keywords])
def test_a_verb_stays_what_it_is(of: str, verb: str) -> None:
    """A framework asks whether it is a coroutine function before it calls it."""
    knowing = getattr(_class(of), verb)
    if hasattr(knowing, "__wrapped__"):  # of the errors it is not wrapped
        assert inspect.iscoroutinefunction(knowing) == inspect.iscoroutinefunction(knowing.__wrapped__)
        assert inspect.signature(knowing) == inspect.signature(knowing.__wrapped__)
        assert knowing.__doc__ == knowing.__wrapped__.__doc__


def test_sending_in_a_frameworks_background_is_awaited() -> None:
    assert inspect.iscoroutinefunction(dq.App("shop").send)
    assert inspect.iscoroutinefunction(dq.Client("redis://nowhere").send)


def test_signatures_stay_what_they_are() -> None:
    assert list(inspect.signature(dq.App.function).parameters)[:3] == ["self", "id", "triggers"]
    assert str(inspect.signature(dq.EventTrigger)).startswith("(event: 'str', *, if_: ")


def _done(called: Any) -> Any:
    return asyncio.run(called) if inspect.iscoroutine(called) else called


def _blank(name: str) -> Any:
    """An object without contents: what knows the names is the class."""
    cls = _class(name)
    return dq.App("shop") if name == "App" else cls.__new__(cls)


def _check(ours: Ours, theirs: str, do: Any) -> None:
    with pytest.raises(dq.ConfigError) as caught:
        do()
    said = str(caught.value)
    assert f"{theirs} is inngest-py's" in said
    assert ours.remark in said
    assert (f"Here it is {ours.name}: " in said) if ours.name else ("has no such thing" in said)
    assert "docs/from-inngest.md" in said
