"""Which expressions are translated, into what, and how a resource is evaluated with two engines."""

import os
import re
from typing import Any

import jq
import pytest

from stageport.mapping.compiled import CompiledResource
from stageport.mapping.defaults import default_mapping
from stageport.mapping.frames import SELECTOR_SLOT, ResourcePlan
from stageport.mapping.item import Item
from stageport.mapping.serving import Worker
from stageport.mapping.translation.calls import NAMES
from stageport.mapping.translation.functions import Functions, make_function, write_function
from stageport.mapping.translation.patterns import compile_pattern
from stageport.mapping.translation.syntax import Untranslated
from stageport.mapping.translation.values import Unproven

MARKER = "\x01error"


class NoClock:
    slow = 1e9

    def start(self, *, share: float = 1.0) -> None:
        del share


class Counting(CompiledResource):
    """Notes which slots jq evaluates."""

    asked: list[tuple[int, ...]]

    def _run_programs(self, slots: tuple[int, ...], item: Item) -> dict[int, Any]:
        self.asked.append(slots)
        return super()._run_programs(slots, item)

    def _run_program(self, slot: int, item: Item) -> Any:
        self.asked.append((slot,))
        return super()._run_program(slot, item)


def make_compiled(*expressions: str, selector: str = "true", translate: bool = True, **plan: Any) -> Counting:
    fields = ("selector.query", *(f"p{number}" for number in range(len(expressions))))
    compiled = Counting(
        ResourcePlan(0, fields, (selector, *expressions), {}, **plan),
        marker=MARKER,
        clock=NoClock(),  # type: ignore[arg-type]
        functions=Functions(enabled=translate),
    )
    compiled.asked = []
    return compiled


def item(raw: str = '{"metadata":{"name":"x"},"spec":{"n":"1"}}') -> Item:
    return Item(raw, ref="component:default/x")


def test_the_whole_default_mapping_is_translated() -> None:
    for resource in default_mapping(sets=("location",))["resources"]:
        mappings = resource["port"]["entity"]["mappings"]
        texts = [mappings[key] for key in ("identifier", "title", "blueprint")]
        texts += [text for key in ("properties", "relations") for text in mappings.get(key, {}).values()]
        assert [text for text in texts if make_function(text) is None] == []


@pytest.mark.parametrize(
    "expression",
    [
        *("def f: 1; f", "reduce .a[] as $i (0; . + $i)", "..", "env", "$ENV", "input", "$__loc__", "limit(1; .[])"),
        *("error", 'error("x")', ".a |= 1", "del(.a)", "now", "@base64", "range(3)", "recurse", "debug", "halt"),
        *(". # comment", "1.0", "1e3", "-0", "9007199254740993", '"\\u00e9"', ". as [$a] | $a", "$unknown", ".a as $x"),
        *("1 == 1 == 1", ". a", "import", "{a: 1,}", "{(1): 2}", "1 + . as $x | $x", "\f.", ".[", '"', "", " ", "a::b"),
        *(
            'test("(a+)+$")',
            'test("a"; "i")',
            'test("(?=a)")',
            "test(.p)",
            'test("\\\\p{L}")',
            "try 1 catch .",
            "1 | 2 |",
        ),
    ],
)
def test_what_lies_outside_is_left_to_libjq(expression: str) -> None:
    assert make_function(expression) is None


@pytest.mark.parametrize("expression", ["(" * 100 + "." + ")" * 100, "." + "?" * 5000, "[" * 3000, ". | " * 2000 + "."])
def test_deep_and_long_expressions_are_left_to_libjq(expression: str) -> None:
    assert make_function(expression) is None


@pytest.mark.parametrize("end", ["empty", ".", "error"])
def test_translating_takes_no_exponential_time(end: str) -> None:
    assert make_function(" | ".join(["(., .)"] * 25 + [end])) is None


def test_translating_a_document_takes_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stageport.mapping.translation.functions.MOST_SECONDS", 1e-6)
    functions = Functions()
    assert [functions.of(".a") is None, functions.of(".b") is None] == [False, True]
    assert functions.of(".a") is not None


def test_no_text_of_an_expression_gets_into_the_code() -> None:
    hostile = "__import__('os').system('id')\n#\"'\\"
    shapes = set()
    for text in (hostile, "plain", "v0", "k0", "def", "é\u2028"):
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        name = f".[{quoted}]"
        code, constants = write_function(
            f'{name} | {{{quoted}: {quoted}, b: [.[] | select(. == {quoted})]}} as $v | "\\({name})x" + {quoted}'
        )
        assert text in constants.values()
        assert set(re.findall(r"[^\w\s.()\[\]{}=:,+]", code)) == set()
        shapes.add(code)
    assert len(shapes) == 1
    assert not re.search(r"\"|'|__", shapes.pop())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_function_is_one_of_jqs(name: tuple[str, int]) -> None:
    word, count = name
    jq.compile(word + (f"({'; '.join(['.'] * count)})" if count else ""))


@pytest.mark.parametrize("expression", ["empty | nonsense", ".a[empty] | nonsense", "first(empty | nonsense(1))"])
def test_what_is_never_reached_has_to_compile_too(expression: str) -> None:
    assert make_function(expression) is None


def test_functions_see_no_builtins() -> None:
    function = make_function(".a")
    assert function is not None
    assert function.__globals__["__builtins__"] == {}


def test_an_entity_that_is_all_translated_never_meets_jq() -> None:
    compiled = make_compiled(".spec.n", ".metadata.identifier")
    assert compiled.run_together(item()) == {0: True, 1: "1", 2: "component:default/x"}
    assert compiled.asked == []


def test_a_mix_is_evaluated_once_in_each_engine() -> None:
    compiled = make_compiled(".spec.n", "[range(2)]", ".metadata.name", "now | 1")
    assert compiled.run_together(item()) == {0: True, 1: "1", 2: [0, 1], 3: "x", 4: 1}
    assert compiled.asked == [(2, 4)]


def test_an_error_is_jqs_own() -> None:
    compiled = make_compiled(".metadata.name", ".spec.n.deeper")
    cells = compiled.run_together(item())
    assert compiled.error_in(cells[2]) == 'Cannot index string with string ("deeper")'
    assert compiled.asked == [(2,)]


def test_a_selector_that_is_not_true_ends_it() -> None:
    compiled = make_compiled("[range(2)]", selector='.spec.n == "2"')
    assert compiled.run_together(item()) == {SELECTOR_SLOT: False}
    assert compiled.asked == []


def test_a_selector_that_fails_is_asked_of_jq() -> None:
    compiled = make_compiled(".spec.n", selector=".spec.n.x")
    assert compiled.error_in(compiled.run_together(item())[SELECTOR_SLOT]) is not None
    assert compiled.asked == [(SELECTOR_SLOT,)]


@pytest.mark.parametrize("raw", ['{"metadata":{},"a":NaN}', '{"metadata":{"a":"\\ud800"}}', '{"metadata":{"n":1e400}}'])
def test_what_python_may_read_differently_is_left_to_jq(raw: str) -> None:
    with pytest.raises(Unproven):
        print(item(raw).value)


def test_with_the_switch_off_everything_is_jqs() -> None:
    compiled = make_compiled(".spec.n", translate=False)
    assert compiled.run_together(item()) == {0: True, 1: "1"}
    assert compiled.asked == [(0, 1)]


@pytest.mark.parametrize("orphan", ["true", "false"])
def test_a_switch_of_ours_skips_an_entity(orphan: str) -> None:
    compiled = make_compiled(".kind", skip_orphans=True, skip_broken=True)
    raw = f'{{"metadata":{{"annotations":{{"backstage.io/orphan":"{orphan}"}}}}}}'
    cells = compiled.run_together(item(raw))
    assert compiled.skips(cells[SELECTOR_SLOT]) is (orphan == "true")
    assert compiled.asked == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("1", 1), ("1.0", 1), ("-0", 0), ("0.5", 0.5), ("12345678901234567890", 12345678901234567168), ("true", True)],
)
def test_numbers_come_out_as_jq_gives_them(raw: str, expected: Any) -> None:
    document = f'{{"metadata":{{}},"x":{raw}}}'
    both = [make_compiled(".x", "[.x]", translate=on).run_together(item(document)) for on in (True, False)]
    assert repr(both[0][1]) == repr(both[1][1]) == repr(expected)


PATTERNS = (
    *("^https?://([A-Za-z0-9]+[-.])*[A-Za-z0-9]+\\.[A-Za-z]{2,}(:[1-9][0-9]{1,4})?(/\\S*)?\\z", "a{2,3}$", "(a|bc)+d"),
    *(
        "(^|\\n)\\s*(openapi|swagger)\\s*:",
        "^$",
        "\\bb",
        "[^a-c\\n]",
        "[]a]",
        "[a\\]-]",
        "\\x61",
        "a.c",
        "[a-",
        "x*y?z+",
    ),
)
SUBJECTS = (
    *(
        "",
        "a",
        "aa",
        "aaa",
        "aaaa",
        "abcd",
        "https://a-b.example.com:8080/x y",
        "https://example.com",
        "x\n  openapi :",
    ),
    *("b", "ab", "a\nc", "a\n", "xyz", "]", "-", "http://x", "swagger:", " \t\x0b\x0c\x1c", "z"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_find_what_oniguruma_finds(pattern: str) -> None:
    try:
        occurs = compile_pattern(pattern)
    except Untranslated:
        pytest.skip("left to libjq")
    program = jq.compile(". as [$text, $pattern] | $text | test($pattern)")
    for subject in SUBJECTS:
        assert occurs(subject) is program.input_value([subject, pattern]).first(), subject


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a*)*", "(.*)(.*)(.*)x", "a*a*a*b", "(a?){30}", "(\\w+\\s?)*$"]
)
def test_patterns_that_could_exhaust_an_engine_are_left_to_libjq(pattern: str) -> None:
    with pytest.raises(Untranslated):
        compile_pattern(pattern)


def test_what_is_translated_is_compiled_by_jq_before_it_counts() -> None:
    reading, writing = os.pipe()
    try:
        worker = Worker(source=reading, target=writing, cpu_seconds=1000, translate=True)
        assert worker._compile_together([".a", ".b | length", "def f: 1; f"]) == {".a", ".b | length"}
        worker._functions._known["1 2"] = make_function(".")
        assert worker._compile_together([".a", "1 2"]) == frozenset()
        assert worker._check("1 2").message != ""
    finally:
        worker._clock.stop()
        os.close(reading)
        os.close(writing)


def test_only_ascii_is_matched_here() -> None:
    with pytest.raises(Unproven):
        compile_pattern("a")("é")
