"""Identifiers and formats of the Port stand-in, value by value."""

import pytest

from stageport.sandbox.port.formats import format_checks, is_any_url
from stageport.sandbox.port.names import is_blueprint_identifier, is_entity_identifier, is_key
from stageport.sandbox.port.options import Leniency

CHECKS = format_checks(Leniency(), team_exists=lambda team: team == "platform")

GOOD = {
    "date-time": [
        "2024-02-29T23:59:60Z",
        "2024-01-01T00:00:00+23:59",
        "2024-01-01t00:00:00.123456+05:30",
        "2024-01-01 00:00:00-00:00",
    ],
    "url": [
        "https://example.com",
        "http://user:pass@example.co.uk:8080/a?b=c#d",
        "ftp://ftp.example.org/x",
        "https://1.1.1.1/",
        "HTTPS://EXAMPLE.COM",
        "https://münchen.example.de/straße",
        "https://a-b.example.io:65535",
        "https://example.co",
    ],
    "email": ["a@b.co", "first.last+tag@sub.example.com", "o'hara@example.com"],
    "idn-email": ["jörg@example.com", "a@b"],
    "ipv4": ["0.0.0.0", "255.255.255.255"],
    "ipv6": ["::", "2001:db8::1", "::ffff:1.2.3.4"],
    "yaml": ["", "a: 1", '{"openapi": "3.0.0"}', "- !custom x", "a: &x 1\nb: *x"],
    "proto": ['syntax = "proto3";\nmessage A { string b = 1; }', "service S {}"],
    "user": ["jane@example.com"],
    "team": ["platform"],
    "timer": ["2024-01-01T00:00:00Z"],
}
BAD = {
    "date-time": [
        "",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2023-02-29T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "2024-13-01T00:00:00Z",
        "٢٠٢٤-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
    ],
    "url": [
        "",
        "example.com",
        "/a/b",
        "http://localhost:7007",
        "http://backstage/",
        "http://127.0.0.1/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://[::1]/",
        "https://example.com/a b",
        "https://example.com\n",
        "mailto:a@b.co",
        "javascript:alert(1)",
        "https://",
        "https://example.c/",
        "https://-a.example.com/",
        "https://a..example.com/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://[broken",
    ],
    "email": ["", "a", "a@", "@b.co", "a@b", "a b@c.de", "a@b..co", "a@-b.co", ".a@b.co", "jörg@example.com"],
    "idn-email": ["a", "a@", "@b", "a b@c", "a@b@c"],
    "ipv4": ["", "1.2.3", "1.2.3.256", "01.2.3.4", "::1"],
    "ipv6": ["", "1.2.3.4", "12345::", "fe80::1%eth0", ":::"],
    "yaml": ["a: b: c", "[1, 2", "*unknown", "\tx: 1", '"open', "a: \x00"],
    "proto": ["", "not proto at all", "message A {"],
    "user": ["jane"],
    "team": ["nobody", ""],
    "timer": ["soon"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts])
def test_what_matches_a_format(name: str, text: str) -> None:
    assert CHECKS[name](text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_what_does_not_match_a_format(name: str, text: str) -> None:
    assert not CHECKS[name](text)


@pytest.mark.parametrize("text", ["http://localhost:7007", "slack://x", "mailto:a@b.co"])
def test_a_scheme_and_something_behind_it_is_a_url(text: str) -> None:
    assert is_any_url(text)


@pytest.mark.parametrize("text", ["", "x", "a b:c", "1a:x", "https:", "https:a b"])
def test_no_url_at_all(text: str) -> None:
    assert not is_any_url(text)


@pytest.mark.parametrize(
    ("text", "entity", "blueprint", "key"),
    [
        ("plain", True, True, True),
        ("a.b", True, True, False),
        ("a/b", True, True, False),
        ("a+b:c", True, True, False),
        ("a=b", True, False, True),
        ("a\\b", True, True, True),
        ("größe", True, True, False),
        ("ß\u02b0", True, True, False),
        ("e\u0301", False, False, False),
        ("٣", False, False, False),
        ("²", False, False, False),
        ("Ⅷ", False, False, False),
        ("🚀", False, False, False),
        ("", False, False, False),
        (".", False, False, False),
        ("..", False, False, False),
        ("...", True, True, False),
        ("a b", False, False, False),
        ("a\n", False, False, False),
        ("a'b", False, False, False),
    ],
)
def test_which_names_entities_blueprints_and_keys_may_have(text: str, entity: bool, blueprint: bool, key: bool) -> None:
    assert is_entity_identifier(text) is entity
    assert is_blueprint_identifier(text) is blueprint
    assert is_key(text) is key


def test_an_apostrophe_is_a_matter_of_the_version() -> None:
    assert is_entity_identifier("o'hara", apostrophe=True)
    assert is_entity_identifier("'", apostrophe=True)
    assert not is_entity_identifier("..", apostrophe=True)


def test_names_have_a_length() -> None:
    assert is_key("x" * 100)
    assert not is_key("x" * 101)
    assert not is_blueprint_identifier("x" * 101)
