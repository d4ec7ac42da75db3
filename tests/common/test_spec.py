from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.grouped import grouped
from common.codes.partial_stragglers import partial_stragglers
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec
from common.spec import LONGEST_TEXT, Call, find, format_call, make_code, parse_call


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("uncoded", Call("uncoded")),
        ("uncoded()", Call("uncoded")),
        ("  digits ( ) ", Call("digits")),
        ("cyclic_repetition(n, 3)", Call("cyclic_repetition", (8, 3))),
        ("synthetic(rows=1000, noise=-0.5)", Call("synthetic", (), {"rows": 1000, "noise": -0.5})),
        ('csv("a b.csv", target="y", skip=True)', Call("csv", ("a b.csv",), {"target": "y", "skip": True})),
        ("f([1, -2, [n, 'x']], +3, 1e-3)", Call("f", ([1, -2, [8, "x"]], 3, 1e-3))),
        ("f(\n  1,\n  a=n,\n)", Call("f", (1,), {"a": 8})),
    ],
)
def test_calls_are_read(text, call):
    found = parse_call(text, {"n": 8})
    assert found == call
    assert [type(value) for value in found.args] == [type(value) for value in call.args]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "8",
        "f(",
        "f(1) g(2)",
        "f(1); g(2)",
        "a.b(1)",
        "f(1)(2)",
        "lambda: 1",
        "f(n - 1)",
        "f(m)",
        "f(g(1))",
        "f(None)",
        "f(...)",
        "f(1j)",
        "f(b'x')",
        "f(f'{n}')",
        "f((1, 2))",
        "f({1})",
        "f({'a': 1})",
        "f(*[1])",
        "f(**{'a': 1})",
        "f(a=1, a=2)",
        "f(1e999)",
        "f(-True)",
        "f(not True)",
        "f(--1)",
        "f(x for x in [1])",
        "f(__import__('os').getcwd())",
        "f(1 if True else 2)",
        "f(\x00)",
        "f('\ud800')\ud800",
        "f(" + "(" * 500,
        "f(" + "-" * 1900 + "1)",
        "f(" + "[" * 900 + "]" * 900 + ")",
        "f(" + "a." * 900 + "a)",
        "f(" + "1," * LONGEST_TEXT + ")",
    ],
)
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(InvalidSpec) as caught:
        parse_call(text, {"n": 8}, what="code")
    assert str(caught.value).startswith("code: ")
    assert "\n" not in str(caught.value)


def test_something_that_is_not_text_is_refused():
    with pytest.raises(InvalidSpec, match="code: must be a name with arguments"):
        parse_call(8, what="code")


def test_names_are_only_those_given():
    with pytest.raises(InvalidSpec) as caught:
        parse_call("f(k)", {"n": 8})
    assert str(caught.value).endswith("lists of these, n, got 'k'")


def test_a_backslash_in_a_path_is_read_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_call(r'csv("C:\data.csv")').args == (r"C:\data.csv",)


def test_large_integers_stay_whole():
    assert parse_call(f"f({10**400})").args == (10**400,)


values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
names = st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True).filter(lambda name: name.isidentifier())
keywords = {
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
}
keywords |= {
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
}
keywords |= {"or", "pass", "raise", "return", "try", "while", "with", "yield"}
names = names.filter(lambda name: name not in keywords)


@settings(max_examples=50, deadline=None)
@given(names, st.lists(values, max_size=3), st.dictionaries(names, values, max_size=3))
def test_what_is_written_is_read_back(name, args, kwargs):
    call = Call(name, tuple(args), kwargs)
    found = parse_call(format_call(call))
    assert found == call
    assert format_call(found) == format_call(call)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("uncoded", uncoded(8)),
        ("uncoded()", uncoded(8)),
        ("uncoded(n)", uncoded(8)),
        ("partial_stragglers", partial_stragglers(8)),
        ("partial_stragglers(n, 2)", partial_stragglers(8, replication=2)),
        ("partial_stragglers(replication=2, n_workers=n)", partial_stragglers(8, replication=2)),
        ("cyclic_repetition(8, 3)", cyclic_repetition(8, 3)),
        ("cyclic_repetition(n, 2, 'random', seed=4)", cyclic_repetition(8, 2, variant="random", seed=4)),
    ],
)
def test_codes_are_made_from_text(text, code):
    assert make_code(text, 8) == code


def test_the_canonical_text_leaves_defaults_out():
    assert make_code("cyclic_repetition(n_stragglers=3, n_workers=n, variant='auto', seed=0)", 8).spec == (
        "cyclic_repetition(8, 3)"
    )
    assert make_code("partial_stragglers(n, 3, 4)", 8).spec == "partial_stragglers(8, chunks_per_worker=4)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cyclic_repetition(6, 3)", "code: n_workers must equal workers (8), got 6"),
        ("partial_stragglers(2)", "code: n_workers must equal workers (8), got 2"),
        ("partial_stragglers(replication=2)", "n_workers is missing"),
        ("cyclic_repetition", "n_stragglers is missing"),
        ("cyclic_repetition(3)", "n_stragglers is missing"),
        ("uncoded(8, 1, 1)", "uncoded(n_workers, chunks_per_worker=1): too many positional arguments"),
        ("uncoded(8, n_workers=8)", "multiple values"),
        ("uncoded(n, speed=3)", "unexpected keyword argument 'speed'"),
        ("uncoded('8')", "n_workers: must be a whole number of at least 1, got '8'"),
        ("uncoded(8.0)", "n_workers: must be a whole number"),
        ("fractional_repetition(n, 2)", "n_stragglers: n_stragglers + 1 must divide n_workers = 8, got 2"),
        (
            "cyclic_repetition(n, 8)",
            "n_stragglers: must be a whole number from 0 to n_workers - 1 = 7, got 8",
        ),
        ("reed_solomon(n)", "code: must be one of uncoded, ignore_stragglers, "),
        ("cyclic_repitition(n, 3)", "(did you mean cyclic_repetition?), got 'cyclic_repitition'"),
        ("partial_straglers(n)", "(did you mean partial_stragglers?)"),
        ("uncoded(n", "code: must be a name with arguments"),
    ],
)
def test_codes_that_cannot_be_made_are_explained(text, says):
    with pytest.raises(InvalidSpec) as caught:
        make_code(text, 8)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_nothing_near_is_not_suggested():
    with pytest.raises(InvalidSpec) as caught:
        find({"digits": 1}, "xyzzy", what="data source")
    assert str(caught.value) == "data source: must be one of digits, got 'xyzzy'"
    assert find({"digits": 1}, "digits", what="data source") == 1


# ---- calls inside calls ---------------------------------------------------------------------------------


def test_a_call_may_be_an_argument_where_that_is_asked_for():
    call = parse_call("grouped(cyclic_repetition(5, seed=2), n)", {"n": 20}, nested=True)
    assert call == Call("grouped", (Call("cyclic_repetition", (5,), {"seed": 2}), 20))
    assert format_call(call) == "grouped(cyclic_repetition(5, seed=2), 20)"
    assert parse_call(format_call(call), nested=True) == call
    assert format_call(Call("f", (Call("g"),))) == "f(g())"
    assert parse_call("f(code=g(h(1)))", nested=True).kwargs == {"code": Call("g", (Call("h", (1,)),))}


@pytest.mark.parametrize(
    "text",
    ["f(g(m))", "f([g(1)])", "f(g)", "f(a.b(1))", "f(g(1)(2))", "f(g(*[1]))", "f(g(a=1, a=2))", "f(-g(1))"],
)
def test_what_is_no_call_is_refused_inside_too(text):
    with pytest.raises(InvalidSpec, match="code: "):
        parse_call(text, {"n": 8}, what="code", nested=True)


def test_calls_nested_as_deeply_as_the_text_allows_are_read_or_refused():
    deep = 180
    call = parse_call("f(" * deep + "1" + ")" * deep, nested=True)
    assert format_call(call).count("f(") == deep
    with pytest.raises(InvalidSpec):
        parse_call("f(" * 600 + "1" + ")" * 600, nested=True)


def test_a_code_made_of_a_code_is_made_from_text():
    code = make_code("grouped(cyclic_repetition(5, 2), n)", 20)
    assert code == grouped(cyclic_repetition(5, 2), 20)
    assert code.spec == "grouped(cyclic_repetition(5, 2), 20)"
    assert make_code("grouped(n_workers=n, code=fractional_repetition(2, 1))", 8).n_workers == 8
    assert make_code("grouped(grouped(uncoded(2), 4), n)", 8).n_workers == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grouped(cyclic_repetition(5, 2), 10)", "code: n_workers must equal workers (20), got 10"),
        ("grouped(cyclic_repetition(6, 2), n)", "n_workers: must be a multiple of the code's 6 workers"),
        ("grouped(cyclic_repetition(5), n)", "n_stragglers is missing, got 'cyclic_repetition(5)'"),
        ("grouped(cyclic(5, 2), n)", "did you mean"),
        ("grouped(5, n)", "code: must be a code, such as cyclic_repetition(10, 2), got 5"),
        ("grouped(n)", "n_workers is missing"),
        ("uncoded(uncoded(20))", "n_workers: must not be a call, got 'uncoded(20)'"),
        ("cyclic_repetition(n, uncoded(3))", "n_stragglers: must not be a call"),
        ("grouped(partial_stragglers(5), n)", "code: must have fixed messages"),
    ],
)
def test_codes_made_of_codes_that_cannot_be_made_are_explained(text, says):
    with pytest.raises(InvalidSpec) as caught:
        make_code(text, 20)
    assert says in str(caught.value)
