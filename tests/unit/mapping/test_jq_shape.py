"""What is seen of an expression from its text: tokens, brackets, streams, types, what may be missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageport.mapping.jq_shape import is_stream, missing_when, null_joins, plain_path, root_paths, type_of
from stageport.mapping.jq_tokens import Kind, find_unbalanced, interpolations, line_and_column, offset_of, tokens_of


@given(st.text())
def test_tokens_lie_in_the_text_in_order_whatever_it_holds(text: str) -> None:
    at = 0
    for token in tokens_of(text):
        assert text[token.start : token.end] == token.text
        assert token.start >= at
        at = token.end


@given(st.text(), st.integers(0, 200))
def test_places_go_there_and_back(text: str, offset: int) -> None:
    offset = min(offset, len(text))
    line, column = line_and_column(text, offset)
    assert offset_of(text, line=line, column=column) == offset


@pytest.mark.parametrize(
    ("expression", "kinds"),
    [
        (".a.b", "FIELD FIELD"),
        ('.["a"]', "DOT OPEN STRING CLOSE"),
        ("..|numbers", "DOT OPERATOR WORD"),
        ("$__loc__ ?// @base64", "VARIABLE OPERATOR FORMAT"),
        ('"a\\"b" # "c\n+ 1.5e3', "STRING OPERATOR NUMBER"),
        ('"x\\(.a + ")" + "\\(.b)")y"', "STRING"),
        ("a::b", "WORD"),
        ("é ~", "OTHER OTHER"),
        ("# c \\\n still\n.a", "FIELD"),
    ],
)
def test_an_expression_is_cut_into_tokens_as_jq_does_it(expression: str, kinds: str) -> None:
    assert " ".join(token.kind.name for token in tokens_of(expression)) == kinds


def test_what_is_interpolated_is_found_with_its_place() -> None:
    (string,) = tokens_of('"a\\(.b)\\\\(c)\\("\\(.d)")"')
    assert list(interpolations(string)) == [(".b", 4), ('"\\(.d)"', 14)]


@pytest.mark.parametrize(
    ("expression", "message", "start"),
    [
        ("[.a[]", "this '[' is never closed", 0),
        ("(.a]", "this '(' is closed by ']'", 0),
        (".a)", "this ')' closes nothing", 2),
        ('.a | "b', "this string is never closed", 5),
        ('"a\\(.b"', "this string is never closed", 0),
        ('{a: [.b, "]"}', "this '[' is closed by '}'", 4),
    ],
)
def test_brackets_without_their_counterpart(expression: str, message: str, start: int) -> None:
    found = find_unbalanced(tokens_of(expression))
    assert found is not None
    assert (found.message, found.token.start) == (message, start)


@pytest.mark.parametrize("expression", ["", ".a", '[{a: (.b)}] | "]"', '"\\("(")"', "# (", ".a[0:1]"])
def test_brackets_that_balance(expression: str) -> None:
    assert find_unbalanced(tokens_of(expression)) is None


STREAMS = [
    ".a[]",
    ".a[]?",
    ".[]",
    "..",
    ".a, .b",
    '.relations[] | select(.type == "x") | .targetRef',
    "(.a[] | .b)",
    "(.a | .b[]) | .c",
    "if .a then .b[] else 1 end",
    "range(3)",
    '.a | splits(",")',
]
NO_STREAMS = [
    ".a",
    "[.a[]]",
    "[.a[] | .b] | .[0]",
    "first(.a[])",
    "any(.a[]; .b)",
    ".a | map(.b[])",
    "{a: .b}",
    ".a[0]",
    '.a["b"]',
    "reduce .a[] as $x (0; . + $x)",
    ".a[] |= 1",
    "(.a, .b) = 1",
    "[.a, .b]",
    '"[]"',
    ".a[",
]


@pytest.mark.parametrize(
    ("expression", "stream"), [(one, True) for one in STREAMS] + [(one, False) for one in NO_STREAMS]
)
def test_what_may_give_several_outputs_is_a_stream(expression: str, stream: bool) -> None:
    assert is_stream(expression) is stream


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ('"a"', "string"),
        ('("a")', "string"),
        ("1", "number"),
        ("true", "boolean"),
        ("[.a[]]", "array"),
        ("{a: 1}", "object"),
        ('.a == "b"', "boolean"),
        (".a and .b", "boolean"),
        (".a | not", "boolean"),
        ('.a | startswith("b")', "boolean"),
        (".a | length", "number"),
        (".a | tostring", "string"),
        ('"a" + .b', "string"),
        (".metadata.tags", "array"),
        (".metadata.labels", "object"),
        (".kind", "string"),
        ('.a | split(",")', "array"),
        (".a", None),
        (".a // 1", None),
        ("[.a] | first", None),
        ("[.a][0]", None),
        ("[.a] + [.b]", None),
        ("if .a then 1 else 2 end", None),
        (". as $x | [1]", "array"),
        ("(.a", None),
        ("", None),
        (".a = [1]", None),
    ],
)
def test_the_type_of_an_expression_is_told_where_it_is_plain(expression: str, name: str | None) -> None:
    assert type_of(expression) == name


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ('"system:" + .spec.system', [".spec.system"]),
        ('"a/" + (.metadata.namespace // "default") + "/" + .spec.system', [".spec.system"]),
        ('.spec.a + "/" + .metadata.name', [".spec.a"]),
        ('"\\(.kind):\\(.spec.owner)"', [".spec.owner"]),
        ('"x" + .metadata.annotations["a/b"]', ['.metadata.annotations["a/b"]']),
        ('"x" + (.spec.system // "none")', []),
        ('"x" + .metadata.name', []),
        ('.relations[] | "x" + .targetRef', []),
        ('if .spec.system then "x" + .spec.system else null end', []),
        ('select(.spec.system) | "x" + .spec.system', []),
        (".spec.a + .spec.b", []),
        (".spec.a + 1", []),
    ],
)
def test_text_joined_to_what_may_be_missing(expression: str, paths: list[str]) -> None:
    found = list(null_joins(expression))
    assert [one.term.text for one in found] == paths
    assert all(expression[one.term.start :].startswith(one.term.text) for one in found)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (".spec.id", ".spec.id is missing"),
        ("(.metadata.labels.id)", ".metadata.labels.id is missing"),
        (".spec.id | ascii_downcase", ".spec.id is missing"),
        ('first(.relations[] | select(.type == "x") | .targetRef)', "nothing is selected"),
        (".spec.id // .metadata.identifier", ""),
        (".metadata.identifier", ""),
        (".metadata.name | ascii_downcase", ""),
        (".item.id", ""),
        ("if .spec.id then .spec.id else .kind end", ""),
        ("(.spec.id", ""),
    ],
)
def test_what_may_be_missing(expression: str, reason: str) -> None:
    assert missing_when(expression) == reason


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        (".metdata.name", [".metdata.name"]),
        ("first(.relation[] | .target)", [".relation[]"]),
        ("[.a, (.b | .c)]", [".a", ".b"]),
        ("{x: .a, y: .b}", [".a", ".b"]),
        (".a as $x | .b", [".a"]),
        ("map(.x)", []),
        (".a | .b", [".a"]),
        ('(.a).b + "\\(.c)"', [".a"]),
    ],
)
def test_paths_of_the_whole_input(expression: str, paths: list[str]) -> None:
    assert [one.text for one in root_paths(expression)] == paths


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        (".a.b", ".a.b"),
        ("(.a)", ".a"),
        ('.["a"].b', '.["a"].b'),
        ('."a"', '."a"'),
        (".a | .b", None),
        ("1", None),
        ("..", None),
    ],
)
def test_a_plain_path_is_told_from_what_is_more(expression: str, path: str | None) -> None:
    found = plain_path(expression)
    assert (found.text if found else None) == path


@pytest.mark.parametrize(
    "expression", ["(" * 20_000 + ")" * 20_000, '"\\(' * 20_000, "[.a" * 3_000, "1+" * 30_000 + "1"]
)
def test_nothing_is_said_of_what_is_too_long_or_too_deep(expression: str) -> None:
    assert (is_stream(expression), type_of(expression), missing_when(expression)) == (False, None, "")
    assert (list(null_joins(expression)), list(root_paths(expression))) == ([], [])


def test_every_kind_is_met() -> None:
    met = {token.kind for token in tokens_of('."a" . 1 $x @y z ( ) + ~ .b')}
    assert met == set(Kind)
