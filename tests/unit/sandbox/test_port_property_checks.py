"""Property schemas compiled by the Port stand-in, where a general validator is no yardstick."""

import re

import pytest

from stageport.sandbox.port.formats import format_checks
from stageport.sandbox.port.options import Leniency
from stageport.sandbox.port.properties import compile_pattern, compile_property

FORMATS = format_checks(Leniency(), team_exists=lambda _team: False)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^a$", "a\n", False),
        ("^a$", "a", True),
        (r"^\$a$", "$a", True),
        ("[$]$", "a$", True),
        (r"^\p{L}+$", "größe", True),
        (r"^[\p{L}-]+$", "größe-x", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "ö", False),
        ("(?<year>[0-9]{4})", "2024", True),
        ("(?<=a)b", "ab", True),
        ("(?<!a)b", "ab", False),
    ],
)
def test_patterns_are_read_as_javascript_reads_them(pattern: str, text: str, matches: bool) -> None:
    assert (compile_pattern(pattern).search(text) is not None) is matches


def test_a_pattern_that_cannot_be_read() -> None:
    with pytest.raises(re.error):
        compile_pattern("(")


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"url": "https://example.com"}, True),
        ({"url": "https://example.com", "displayText": "x"}, True),
        ({"displayText": "x"}, False),
        ({"url": "x"}, False),
        ({"url": "https://example.com", "displayText": 1}, False),
        ({"url": "https://example.com", "title": "x"}, False),
        ("https://example.com", False),
    ],
)
def test_a_labeled_url_is_a_url_with_or_without_a_label(value: object, fits: bool) -> None:
    check = compile_property({"type": "object", "format": "labeled-url"}, formats=FORMATS)
    assert (check(value) is None) is fits


def test_the_format_of_items() -> None:
    check = compile_property({"type": "array", "items": {"type": "string", "format": "url"}}, formats=FORMATS)
    assert check(["https://example.com"]) is None
    assert check([{"url": "https://example.com"}]) == "item 0 must be string"
    assert check(["https://example.com", "x"]) == 'item 1 must match format "url"'


def test_whole_numbers_inside_an_object() -> None:
    check = compile_property({"type": "object", "properties": {"n": {"type": "integer"}}}, formats=FORMATS)
    assert [check({"n": value}) is None for value in (1, 2.0, 2.5, True, "1")] == [True, True, False, False, False]


def test_several_types_inside_an_object() -> None:
    check = compile_property({"type": "object", "properties": {"n": {"type": ["string", "null"]}}}, formats=FORMATS)
    assert [check({"n": value}) is None for value in ("x", None, 1)] == [True, True, False]


def test_a_format_that_takes_any_text() -> None:
    assert compile_property({"type": "string", "format": "markdown"}, formats=FORMATS)("# x") is None
