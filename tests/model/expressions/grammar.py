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


def standard_expressions() -> st.SearchStrategy[str]:
    """Well-typed expressions of standard CEL over `event.data` as in `payloads`, without what our dialect redefines."""
    integer = st.deferred(lambda: _integer)
    double = st.deferred(lambda: _double_expression)
    text = st.deferred(lambda: _text_expression)
    boolean = st.deferred(lambda: _boolean)
    int_list = st.deferred(lambda: _int_list)
    moment = st.deferred(lambda: _moment)
    length = st.deferred(lambda: _length)

    calculation = st.sampled_from(["({a} + {b})", "({a} - {b})", "({a} * {b})", "({a} / {b})"])
    getter = st.sampled_from(
        ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"]
    )
    comparison = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    _integer = (
        ints.map(str)
        | st.sampled_from(["event.data.i", "event.data.j", "event.data.l[0]", "0x1F"])
        | st.builds(lambda form, a, b: form.format(a=a, b=b), calculation, integer, integer)
        | _form("({a} % {b})", a=integer, b=integer)
        | _form("-({a})", a=integer)
        | _form("size({a})", a=text | int_list)
        | _form("{a}.size()", a=int_list)
        | _form("int({a})", a=double | integer | st.sampled_from(["event.data.s", "event.data.t"]))
        | _form("int({a})", a=moment)
        | _form("({c} ? {a} : {b})", c=boolean, a=integer, b=integer)
        | _form("{a}.{g}()", a=moment, g=getter)
        | _form("{a}.getHours({z})", a=moment, z=st.sampled_from(["'Asia/Tokyo'", "'-03:30'"]))
        | _form("{a}.getMinutes()", a=length)
    )
    _double_expression = (
        doubles.map(_double)
        | st.sampled_from(["event.data.d", "event.data.e"])
        | st.builds(lambda form, a, b: form.format(a=a, b=b), calculation, double, double)
        | _form("-({a})", a=double)
        | _form("double({a})", a=integer | double)
        | _form("({c} ? {a} : {b})", c=boolean, a=double, b=double)
    )
    _text_expression = (
        words.map(_text)
        | st.sampled_from(["event.data.s", "event.data.t", "event.data['s']", "r'a\\b'"])
        | _form("({a} + {b})", a=text, b=text)
        | _form("string({a})", a=integer | boolean | text)
        | _form("string(bytes({a}))", a=text)
        | _form("({c} ? {a} : {b})", c=boolean, a=text, b=text)
    )
    _boolean = (
        st.sampled_from(["true", "false", "event.data.b", "has(event.data.i)", "has(event.data.gone)"])
        | st.builds(lambda a, op, b: f"({a} {op} {b})", integer | double, comparison, integer | double)
        | st.builds(lambda a, op, b: f"({a} {op} {b})", text, comparison, text)
        | st.builds(lambda a, op, b: f"({a} {op} {b})", boolean, comparison, boolean)
        | st.builds(lambda a, op, b: f"({a} {op} {b})", moment, comparison, moment)
        | st.builds(lambda a, op, b: f"({a} {op} {b})", length, comparison, length)
        | st.builds(lambda a, op, b: f"(bytes({a}) {op} bytes({b}))", text, comparison, text)
        | _form("({a} == {b})", a=integer | text | boolean | int_list, b=integer | text | boolean | int_list)
        | _form("({a} != event.data.n)", a=integer | text | boolean)
        | _form("({a} && {b})", a=boolean, b=boolean)
        | _form("({a} || {b})", a=boolean, b=boolean)
        | _form("!{a}", a=boolean)
        | _form("({a} in {b})", a=integer | double, b=int_list)
        | _form("({a} in event.data.{b})", a=text, b=st.sampled_from(["w", "m"]))
        | st.builds(
            lambda a, f, b: f"{a}.{f}({b})", text, st.sampled_from(["contains", "startsWith", "endsWith"]), text
        )
        | _form("{a}.matches('^[a-b]+1?$|e{{2}}')", a=text)
        | _form("(type({a}) == type({b}))", a=integer | text | double, b=integer | text | boolean | int_list)
        | st.builds(
            lambda source, macro, body: f"{source}.{macro}(x, {body})",
            int_list,
            st.sampled_from(["all", "exists", "exists_one"]),
            st.sampled_from(["x > 0", "x == event.data.i", "1 / x == 1", "x in event.data.l", "true"]),
        )
        | _form("event.data.m.exists(k, event.data.m[k] > {a})", a=integer)
    )
    _int_list = (
        st.sampled_from(["event.data.l", "[]"])
        | _form("[{a}, {b}]", a=integer, b=integer)
        | _form("({a} + {b})", a=int_list, b=int_list)
        | _form("{a}.filter(x, x != {b})", a=int_list, b=integer)
        | _form("{a}.map(x, x + {b})", a=int_list, b=integer)
        | _form("{a}.map(x, x > 0, x - 1)", a=int_list)
    )
    _moment = st.integers(-(10**9), 4 * 10**9).map("timestamp({})".format) | _form("({a} + {b})", a=moment, b=length)
    _length = st.sampled_from(["duration('1h')", "duration('-90m')", "duration('0s')"]) | _form(
        "({a} - {b})", a=moment, b=moment
    )
    return _boolean | _integer | _double_expression | _text_expression | _int_list | _moment | _length


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
_METHODS = [
    *("contains", "startsWith", "endsWith", "matches", "getHours", "getFullYear", "getMilliseconds"),
]


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
        [*_BINARY, *_FUNCTIONS, *_METHODS, *"()[]{}.,:?!'\"`\\", "event", "x", "1", "1u", ".5", "r'", "b'", "'''", "//"]
        + ["has", "all", "exists", "map", "'a'", "\n", "0x", "1e", "\\u", "google", "if", "true", "async"]
    )
    return (
        st.lists(tokens, max_size=25).map(" ".join) | st.lists(tokens, max_size=25).map("".join) | st.text(max_size=80)
    )
