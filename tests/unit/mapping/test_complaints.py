"""Why an expression does not compile, told with the words of jq at hand: what is said, and what is underlined."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageport.mapping.compiling import compile_remarks
from stageport.mapping.complaints import explain_complaint
from stageport.mapping.lint import Remark
from stageport.model.errors import ExpressionError

TEXT = "Text needs double quotes of its own, inside those of YAML: "
QUOTES = "jq takes text in double quotes: \"…\" instead of '…'"

# expression, what is underlined, message, hint
CASES: list[tuple[str, str, str, str]] = [
    ("component", "component", "jq takes component for a program, not for text", f"{TEXT}'\"component\"'"),
    (" group:default/x ", "group:default/x", "jq takes group:default/x for a program, not for text", TEXT),
    ("and", "and", "jq takes and for a program, not for text", f"{TEXT}'\"and\"'"),
    ("=", "=", "jq takes = for a program, not for text", f"{TEXT}'\"=\"'"),
    ("$identifier", "$identifier", "jq takes $identifier for a program, not for text", TEXT),
    ("lenght", "lenght", "jq takes lenght for a program", "If the function length is meant, write that"),
    ("[.a[]", "[", "this '[' is never closed", ""),
    ("(.a]", "(", "this '(' is closed by ']'", ""),
    (".a)", ")", "this ')' closes nothing", ""),
    ('.a | "b', '"', "this string is never closed", ""),
    ("if .a then 1", "if", "this 'if' has no 'end'", "jq writes: if … then … else … end"),
    ('.a | startwith("x")', "startwith", "jq has no function startwith with 1 argument", "Did you mean startswith?"),
    (".a | lower", "lower", "jq has no function lower", "Did you mean ascii_downcase?"),
    (".a | join", "join", "jq has no function join", "join takes 1 argument"),
    (".a | test(1; 2; 3)", "test", "jq has no function test with 3 arguments", "test takes 1 or 2 arguments"),
    (
        ".a == service",
        "service",
        "jq has no function service",
        'If the text service is meant, write it in double quotes: "service"',
    ),
    (".a | test('x')", "'x'", "single quotes are no quotes in jq", QUOTES),
    (".['a']", "'a'", "single quotes are no quotes in jq", QUOTES),
    (".a | map(select(.b == 'c'))", "'c'", "single quotes are no quotes in jq", QUOTES),
    ("'\"component\"'", "'\"component\"'", "the single quotes are part of the expression here", 'write "component"'),
    (".a && .b", "&&", "'&&' is no jq", "jq writes: and"),
    (".a || .b", "||", "'||' is no jq", "jq writes: or"),
    (".a === 1", "===", "'===' is no jq", "jq writes: =="),
    ("{{ .a }}", "{{", "'{{' is no jq", "without braces"),
    (".a.toLowerCase()", ".toLowerCase", "unexpected '('", "Functions follow a pipe: … | ascii_downcase"),
    (
        ".metadata.annotations.backstage.io/x",
        "backstage.io/x",
        "the key backstage.io/x is taken for a calculation",
        'needs quotes: .metadata.annotations["backstage.io/x"]',
    ),
    (".metadata.labels.my-key == 1", "my-key", "the key my-key", 'needs quotes: .metadata.labels["my-key"]'),
    (".my-key", "my-key", "the key my-key", 'needs quotes: .["my-key"]'),
    ("# nothing", "#", "holds no filter", "Write null to clear the field, or leave its key out"),
    ("{a b}", "b", "syntax error, unexpected word, expecting '}'", ""),
    ('["é",\n .a | startwith(1)]', "startwith", "jq has no function startwith", "startswith"),
    (".a |", "|", "it ends too early", ""),
]


@pytest.fixture(scope="module")
def remarks() -> dict[str, Remark]:
    properties = {str(number): case[0] for number, case in enumerate(CASES)}
    mappings = {"identifier": ".x", "blueprint": '"x"', "properties": properties}
    resource = {"kind": "x", "selector": {"query": "true"}, "port": {"entity": {"mappings": mappings}}}
    found = asyncio.run(compile_remarks({"resources": [resource]}))
    return {str(one.path[-1]): one for one in found}


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case[0] for case in CASES])
def test_a_complaint_marks_the_place_says_what_is_wrong_and_how_to_mend_it(
    number: int, remarks: dict[str, Remark]
) -> None:
    expression, marked, message, hint = CASES[number]
    remark = remarks[str(number)]
    assert remark.span is not None
    assert expression[slice(*remark.span)] == marked
    assert remark.message.startswith("does not compile: ")
    assert message in remark.message
    assert hint in remark.hint
    assert bool(hint) == bool(remark.hint)


@given(
    st.text(max_size=60), st.integers(1, 5), st.integers(1, 60), st.sampled_from(["x/0 is not defined", "syntax error"])
)
def test_a_place_is_always_within_the_expression(text: str, line: int, column: int, message: str) -> None:
    found = explain_complaint(text, ExpressionError(message, line=line, column=column))
    assert 0 <= found.start <= len(text)
    assert found.start < found.end
