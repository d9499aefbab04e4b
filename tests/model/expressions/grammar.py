"""Strategies for expressions: typed ones on which CEL and our dialect agree, and any that the grammar allows."""

from __future__ import annotations

from hypothesis import strategies as st

INT_EDGES = [0, 1, -1, 2, 7, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
ints = st.sampled_from(INT_EDGES) | st.integers(-20, 20) | st.integers(-(2**63), 2**63 - 1)
doubles = st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.5, 2.0**53, 1e300]) | st.floats(
    allow_nan=False, allow_infinity=False
)
words = st.text("ab1.-e", max_size=5) | st.sampled_from(["", "42", "-7", "1.5", "true", "false", "é", "日本"])

payloads = st.fixed_dictionaries(
    {
        "i": ints,
        "j": ints,
        "d": doubles,
        "e": doubles,
        "s": words,
        "t": words,
        "b": st.booleans(),
        "n": st.none(),
        "l": st.lists(ints, min_size=1, max_size=4),
        "w": st.lists(words, max_size=4),
        "m": st.dictionaries(st.sampled_from(["a", "b", "é"]), ints, max_size=3),
    }
)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _double(value: float) -> str:
    text = repr(value)
    return text if any(mark in text for mark in ".e") else text + ".0"


def _form(template: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda **found: template.format(**found), **parts)


Kinds = dict[str, st.SearchStrategy[str]]

_SIMPLE: Kinds = {
    "int": ints.map(str) | st.sampled_from(["event.data.i", "event.data.j", "event.data.l[0]", "0x1F"]),
    "double": doubles.map(_double) | st.sampled_from(["event.data.d", "event.data.e"]),
    "string": words.map(_text) | st.sampled_from(["event.data.s", "event.data.t", "event.data['s']", "r'a\\b'"]),
    "bool": st.sampled_from(["true", "false", "event.data.b", "has(event.data.i)", "has(event.data.gone)"]),
    "list": st.sampled_from(["event.data.l", "[]", "[1, 2]"]),
    "time": st.integers(-(10**9), 4 * 10**9).map("timestamp({})".format),
    "length": st.sampled_from(["duration('1h')", "duration('-90m')", "duration('0s')"]),
}
_CALCULATIONS = st.sampled_from(["({a} + {b})", "({a} - {b})", "({a} * {b})", "({a} / {b})"])
_COMPARISONS = st.sampled_from(["({a} == {b})", "({a} != {b})", "({a} < {b})", "({a} >= {b})", "({a} <= {b})"])
_GETTERS = st.sampled_from(
    ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"]
)
_CONDITIONS = st.sampled_from(["x > 0", "x == event.data.i", "1 / x == 1", "x in event.data.l", "true"])


def _composed(of: Kinds) -> Kinds:
    """Expressions of each kind, made of one operation on given ones."""
    integer, double, text, boolean = of["int"], of["double"], of["string"], of["bool"]
    numbers, moment, length = of["list"], of["time"], of["length"]
    anything = integer | text | boolean | numbers

    def operation(templates: st.SearchStrategy[str], operand: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.builds(lambda form, a, b: form.format(a=a, b=b), templates, operand, operand)

    return {
        "int": operation(_CALCULATIONS, integer)
        | _form("({a} % {b})", a=integer, b=integer)
        | _form("-({a})", a=integer)
        | _form("size({a})", a=text | numbers)
        | _form("{a}.size()", a=numbers)
        | _form("int({a} * 1.0)", a=double)  # no constant: we refuse one that does not fit when compiling
        | _form("int({a})", a=integer | moment | st.sampled_from(["event.data.s", "event.data.t"]))
        | _form("({c} ? {a} : {b})", c=boolean, a=integer, b=integer)
        | _form("{a}.{g}()", a=moment, g=_GETTERS)
        | _form("{a}.getHours({z})", a=moment, z=st.sampled_from(["'Asia/Tokyo'", "'-03:30'"]))
        | _form("{a}.getMinutes()", a=length),
        "double": operation(_CALCULATIONS, double)
        | _form("-({a})", a=double)
        | _form("double({a})", a=integer | double)
        | _form("({c} ? {a} : {b})", c=boolean, a=double, b=double),
        "string": _form("({a} + {b})", a=text, b=text)
        | _form("string({a})", a=integer | boolean | text)
        | _form("string(bytes({a}))", a=text)
        | _form("({c} ? {a} : {b})", c=boolean, a=text, b=text),
        "bool": operation(_COMPARISONS, integer | double)
        | operation(_COMPARISONS, text)
        | operation(_COMPARISONS, boolean)
        | operation(_COMPARISONS, moment)
        | operation(_COMPARISONS, length)
        | operation(_COMPARISONS, text.map("bytes({})".format))
        | operation(st.sampled_from(["({a} && {b})", "({a} || {b})"]), boolean)
        | operation(st.sampled_from(["({a} == {b})", "({a} != {b})", "(type({a}) == type({b}))"]), anything)
        | _form("({a} != event.data.n)", a=anything)
        | _form("!{a}", a=boolean)
        | _form("({a} in {b})", a=integer, b=numbers)  # Google compares a double with ints inexactly here
        | _form("({a} in event.data.{b})", a=text, b=st.sampled_from(["w", "m"]))
        | _form("{a}.{f}({b})", a=text, f=st.sampled_from(["contains", "startsWith", "endsWith"]), b=text)
        | _form("{a}.matches('^[a-b]+1?$|e{{2}}')", a=text)
        | _form("{a}.{m}(x, {c})", a=numbers, m=st.sampled_from(["all", "exists", "exists_one"]), c=_CONDITIONS)
        | _form("event.data.m.exists(k, event.data.m[k] > {a})", a=integer),
        "list": _form("[{a}, {b}]", a=integer, b=integer)
        | _form("({a} + {b})", a=numbers, b=numbers)
        | _form("{a}.filter(x, x != {b})", a=numbers, b=integer)
        | _form("{a}.map(x, x + {b})", a=numbers, b=integer)
        | _form("{a}.map(x, x > 0, x - 1)", a=numbers),
        "time": _form("({a} + {b})", a=moment, b=length),
        "length": _form("({a} - {b})", a=moment, b=moment),
    }


def standard_expressions(levels: int = 3) -> st.SearchStrategy[str]:
    """Well-typed expressions of standard CEL over `event.data` as in `payloads`, without what our dialect redefines."""
    kinds = _SIMPLE
    for _ in range(levels):
        composed = _composed(kinds)
        kinds = {kind: kinds[kind] | composed[kind] for kind in kinds}
    return st.one_of(*kinds.values())


_ATOMS = st.sampled_from(
    [
        *("event", "event.data", "event.data.a", "event.data.b", "event.data.c.d", "event.data['a']", "async.data.a"),
        *("1", "0", "-1", "2.5", "1u", "1e300", "9223372036854775807", "true", "false", "null", "'a'", "''", "b'a'"),
        *("[]", "{}", "int", "now()", "x", "event.ts", "'(a*)*'", "'2020-01-01T00:00:00Z'", "'1h'", "'UTC'"),
    ]
)
_BINARY = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"]
_FUNCTIONS = [
    *("int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration", "type", "dyn", "size", "lowercase"),
    *("uppercase", "b64decode", "json_parse", "date", "now_plus", "now_minus"),
]
_METHODS = ["contains", "startsWith", "endsWith", "matches", "getHours", "getFullYear", "getMilliseconds"]


def any_expressions() -> st.SearchStrategy[str]:
    """Expressions that the grammar allows, sensible or not. `x` is known inside macros only, so some do not compile."""
    return st.recursive(
        _ATOMS,
        lambda inner: (
            st.builds(lambda a, op, b: f"{a} {op} {b}", inner, st.sampled_from(_BINARY), inner)
            | st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(_BINARY), inner)
            | _form("!{a}", a=inner)
            | _form("-({a})", a=inner)
            | _form("({a}) ? ({b}) : ({c})", a=inner, b=inner, c=inner)
            | st.builds(lambda f, a: f"{f}({a})", st.sampled_from(_FUNCTIONS), inner)
            | st.builds(lambda a, f, b: f"({a}).{f}({b})", inner, st.sampled_from(_METHODS), inner)
            | _form("[{a}, {b}]", a=inner, b=inner)
            | _form("{{{a}: {b}}}", a=inner, b=inner)
            | _form("({a})[{b}]", a=inner, b=inner)
            | _form("({a}).data", a=inner)
            | _form("has(({a}).b)", a=inner)
            | st.builds(
                lambda a, m, b: f"({a}).{m}(x, {b})",
                inner,
                st.sampled_from(["all", "exists", "exists_one", "map", "filter"]),
                inner,
            )
            | _form("({a}).map(x, {b}, {c})", a=inner, b=inner, c=inner)
        ),
        max_leaves=12,
    )


def token_soup() -> st.SearchStrategy[str]:
    """Tokens in any order, and any text."""
    tokens = st.sampled_from(
        [
            *(*_BINARY, *_FUNCTIONS, *_METHODS, *"()[]{}.,:?!'\"`\\", "event", "x", "1", "1u", ".5", "r'", "b'", "'''"),
            *("//", "has", "all", "exists", "map", "'a'", "\n", "0x", "1e", "\\u", "google", "if", "true", "async"),
        ]
    )
    return (
        st.lists(tokens, max_size=25).map(" ".join) | st.lists(tokens, max_size=25).map("".join) | st.text(max_size=80)
    )
