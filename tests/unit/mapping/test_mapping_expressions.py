"""Expressions on their way to jq: the quotes, what is refused unseen, and where a complaint belongs."""

import jq
import pytest

from stageport.mapping.expressions import LONGEST, compile_error, rewrite_quotes, unusable
from stageport.mapping.layout import plan_resource, simple_path
from stageport.mapping.program import LEAD, gives_one, resource_program, slot
from stageport.mapping.resource import EntityMapping, Items, Resource, SearchQuery, SearchRule, Selector


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (".a == 'Bug'", '.a == "Bug"'),
        ("'component'", '"component"'),
        ("test('x')", "test('x')"),
        ("""'"x"'""", """'"x"'"""),
        ("sub( 'a' ; 'b' )", 'sub( "a" ; "b" )'),
        ("""\"it's\"""", """\"it's\""""),
        ("the teams' page", 'the teams" page'),
        ("say 'hi' now", 'say "hi" now'),
        ("'", '"'),
        ("''", '""'),
        ("' a'", '" a"'),
        ("\t'x'\n", '\t"x"\n'),
        ("\u00a0'x'", '\u00a0"x"'),
    ],
)
def test_single_quotes_become_double_ones_as_in_the_original(written: str, seen: str) -> None:
    assert rewrite_quotes(written) == seen


@pytest.mark.parametrize(
    ("expression", "line", "column"),
    [(".kind\0garbage", 1, 6), (".a\n\0", 2, 1), ("\0", 1, 1), ('"x\ud800"', 1, 3)],
)
def test_what_jq_would_misread_is_refused_with_its_place(expression: str, line: int, column: int) -> None:
    error = unusable(expression)
    assert error is not None
    assert (error.line, error.column) == (line, column)


def test_the_length_is_limited_in_bytes() -> None:
    assert unusable("." * LONGEST) is None
    assert unusable("." * (LONGEST + 1)) is not None
    assert unusable("ä" * (LONGEST // 2 + 1)) is not None


@pytest.mark.parametrize(
    ("expression", "line", "column", "word"),
    [
        ("foo", 1, 1, "foo/0 is not defined"),
        (".a | bar", 1, 6, "bar/0"),
        (".a\n  | bar(1)", 2, 5, "bar/1"),
        ('"é€😀" | bar', 1, 9, "bar/0"),
        ('# é\n"é" | bar', 2, 7, "bar/0"),
        (".a ==", 1, 4, "ends too early"),
        ("1) , (2", 1, 2, "unexpected character"),
        ("$x", 1, 1, "$x is not defined"),
        ("def f: 1;", 1, 1, "no filter"),
        ("", 1, 1, "no filter"),
        ("# only a comment", 1, 1, "no filter"),
        ('import "a" as a; .', 1, 1, "unexpected import"),
        ('"x\\ud800y"', 1, 3, "surrogate"),
        ("if . then 1", 1, 11, "ends too early"),
    ],
)
def test_complaints_of_jq_point_into_the_authors_text(expression: str, line: int, column: int, word: str) -> None:
    with pytest.raises(ValueError, match="jq") as complaint:
        jq.compile(LEAD + rewrite_quotes(expression))
    error = compile_error(expression, str(complaint.value), prefix=len(LEAD))
    assert word in error.message
    assert (error.line, error.column) == (line, column)


def test_the_hint_for_single_quotes_is_given_where_they_are_left() -> None:
    assert "double quotes" in compile_error("test('x')", "jq: error: syntax error", prefix=0).hint
    assert compile_error(".a ==", "jq: error: syntax error", prefix=0).hint == ""


@pytest.mark.parametrize(
    ("expression", "one"),
    [
        (".a.b // .c // null", True),
        ('.a == "x"', True),
        ("[.a[] | select(.b)]", True),
        ('[.a["]"]] | length', True),
        ("[.a][0]", True),
        ("[[.a], [.b]] | add | .[0]", True),
        ("[.a], [.b]", False),
        ("[.a] | .[]", False),
        ("[.a][]", False),
        ("[.a]?", False),
        ("[.a] # ]", False),
        ('["\\(.a, .b)"]', False),
        ("[.a", False),
        (".a[]", False),
        (".a, .b", False),
        (".a == .b", False),
        (".a // empty", False),
        ("[.a] | first(.[])", False),
    ],
)
def test_nothing_is_claimed_of_what_may_give_several_outputs(expression: str, one: bool) -> None:
    assert gives_one(expression) is one


@pytest.mark.parametrize(
    "expression",
    ['"a"', ".a", '.a["b"].c', '.a // "b"', ".a // .b.c", ' .["x"] ', "[.a]", "[.[]?][0]", '.a == "b"', "1, 2"],
)
def test_a_slot_gives_the_first_output_or_null_or_the_error(expression: str) -> None:
    program = jq.compile(f"[{slot(expression, marker='error')}]")
    for text in ('{"a": 1}', '{"a": {"b": {"c": null}}}', "null", '"text"', "[1]"):
        try:
            expected = next(iter(jq.compile(expression).input_text(text)), None)
        except ValueError as error:
            expected = {"error": str(error)}
        assert program.input_text(text).all() == [[expected]]


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        (".relations", ".relations"),
        (" .spec.a.b[0] ", ".spec.a.b[0]"),
        ('.["my-items"]', '.["my-items"]'),
        ('.spec["my-key"]', '.spec["my-key"]'),
        ("(.relations)", ".relations"),
        (".relations // []", ".relations"),
        ("(.a // [])", ".a"),
        ('.spec."my-key"', ""),
        ('."my-items"', ""),
        (".annotations | to_entries", ""),
        ("(.a + .b)", ""),
        ("(.a) + (.b)", ""),
        ("[.a[]]", ""),
        (". as $x | .a", ""),
        ("to_entries", ""),
        ("", ""),
    ],
)
def test_only_a_simple_path_is_taken_out_of_the_entity(expression: str, path: str) -> None:
    assert simple_path(expression) == path


def test_every_expression_gets_a_slot_with_its_field_and_path() -> None:
    query = SearchQuery(".c", (SearchQuery(".d", (SearchRule(".p", ".o", ".v"),)),))
    mappings = EntityMapping(query, ".b", title=None, properties={"a.b": ".x"}, relations={"r": query})
    planned = plan_resource(Resource("kind", Selector("'true'"), mappings, Items(expression=".items")), index=3)
    fields = [slot.field for slot in planned.slots]
    assert fields == [
        "selector.query",
        *(f"identifier.{leaf}" for leaf in QUERY_LEAVES),
        "blueprint",
        "properties.a.b",
        *(f"relations.r.{leaf}" for leaf in QUERY_LEAVES),
        "port.itemsToParse",
    ]
    assert planned.slots[7].path == ("resources", 3, "port", "entity", "mappings", "properties", "a.b")
    rule = ("rules", 0, "rules", 0, "value")
    assert planned.slots[10].path == ("resources", 3, "port", "entity", "mappings", "relations", "r", *rule)
    assert planned.plan.expressions[0] == '"true"'
    assert planned.slots[0].expression == "'true'"
    assert planned.plan.layout["title"] is None


QUERY_LEAVES = ("rules[0].rules[0].property", "rules[0].rules[0].operator", "rules[0].rules[0].value")
QUERY_LEAVES = (*QUERY_LEAVES, "rules[0].combinator", "combinator")


def test_the_program_stops_at_a_selector_that_is_not_true() -> None:
    text = resource_program(['error("never")'], selector=".x", marker="m", enrich=False)
    program = jq.compile(text)
    assert program.input_text('{"x": false}').all() == [[False]]
    assert program.input_text('{"x": true}').all() == [[True, {"m": "never"}]]
