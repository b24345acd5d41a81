"""What is foreseen of Port's answers, against a Port that gives them.

The stand-in has a validator of its own. Both were written from the same specification and share no code, so where
they agree on an entity, neither has misread it.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import STRICT_WRITE, WRITE, Rig, open_rig

from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import TargetEntity
from stageport.plan.verdict import judge_target

PROPERTIES: dict[str, Any] = {
    "text": {"type": "string"},
    "short": {"type": "string", "minLength": 2, "maxLength": 4},
    "slug": {"type": "string", "pattern": "^[a-z]+$"},
    "letters": {"type": "string", "pattern": r"^\p{L}+$"},
    "count": {"type": "number", "minimum": 0, "exclusiveMaximum": 10},
    "flag": {"type": "boolean"},
    "object": {"type": "object"},
    "closed": {"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": False},
    "keyed": {"type": "object", "patternProperties": {"^x-": {"type": "string"}}, "required": ["x-1"]},
    "typed": {"type": "object", "additionalProperties": {"type": "boolean"}},
    "list": {"type": "array", "items": {"type": "string", "format": "url"}},
    "few": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True},
    "url": {"type": "string", "format": "url"},
    "email": {"type": "string", "format": "email"},
    "idn": {"type": "string", "format": "idn-email"},
    "when": {"type": "string", "format": "date-time"},
    "timer": {"type": "string", "format": "timer"},
    "v4": {"type": "string", "format": "ipv4"},
    "v6": {"type": "string", "format": "ipv6"},
    "doc": {"type": "string", "format": "yaml"},
    "proto": {"type": "string", "format": "proto"},
    "user": {"type": "string", "format": "user"},
    "prose": {"type": "string", "format": "markdown"},
    "link": {"type": "object", "format": "labeled-url"},
    "stage": {"type": "string", "enum": ["test", "live"]},
    "level": {"type": "number", "enum": [1, 2]},
}
RELATIONS = {"one": {"target": "thing"}, "many": {"target": "thing", "many": True}}
MUST = {"needed": {"type": "string"}, "given": {"type": "string", "default": "x"}}

VALUES: dict[str, list[Any]] = {
    "text": ["", "x", 1, True, None, [], {}],
    "short": ["a", "ab", "abcd", "abcde"],
    "slug": ["abc", "Abc", "abc\n", ""],
    "letters": ["äß", "a1"],
    "count": [0, 9.5, 10, -1, "1", True],
    "flag": [True, False, 0, "true"],
    "object": [{}, {"a": [1]}, [], "{}"],
    "closed": [{}, {"a": 1}, {"a": "1"}, {"b": 1}],
    "keyed": [{"x-1": "a"}, {"x-1": 1}, {}, {"x-1": "a", "y": 1}],
    "typed": [{"a": True}, {"a": 1}],
    "list": [[], ["https://example.com"], ["https://example.com", "nope"], [{"url": "https://example.com"}], "x"],
    "few": [[], ["a"], ["a", "b", "c"], ["a", "a"], [1, True], [1, 1.0]],
    "url": [
        *(
            "https://example.com",
            "http://a.b/c?d#e",
            "ftp://files.example.org",
            "HTTPS://EXAMPLE.COM",
            "https://1.2.3.4",
        ),
        *("https://localhost:7007", "https://10.0.0.1/", "https://127.0.0.1", "mailto:a@b.de", "example.com", ""),
        *("https://exa mple.com", "https://example.com/a b", "https://example.c", "https://-a.com", "https://a_b.com"),
        *("https://example.com:80", "https://example.com:8", "https://example.com:99999", "https://[::1]/", "//x.de"),
        *("https://user:secret@example.com/", "https://bücher.example", "http://", "https://example.123"),
    ],
    "email": [
        *("jane@example.com", "jane.doe+x@mail.example.co", "jane@localhost", "jane", "@x.de", "a@b..de", "a@-b.de"),
        *(".a@b.de", "a..b@c.de", "a b@c.de", "jäne@example.com", "a@b_c.de", "a@b.de\n", ""),
    ],
    "idn": ["jäne@bücher.example", "a@b", "a b@c.de", "a@b@c.de", "a"],
    "when": [
        *("2024-02-29T12:00:00Z", "2024-02-29t12:00:00.123+01:00", "2024-02-29 12:00:00z", "2023-02-29T12:00:00Z"),
        *("2024-02-29", "2024-02-29T12:00:00", "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z", "2024-13-01T00:00:00Z"),
        *(
            "2024-02-29T23:59:60Z",
            "2024-02-29T12:00:00+24:00",
            "2024-02-29T12:00:00+0100",
            "today",
            "0000-01-01T00:00:00Z",
        ),
    ],
    "timer": ["2024-02-29T12:00:00Z", "soon"],
    "v4": ["1.2.3.4", "1.2.3", "01.2.3.4", "256.1.1.1", "::1"],
    "v6": ["::1", "fe80::1%eth0", "2001:db8::", "1.2.3.4", "::g"],
    "doc": ["a: 1", "a: [1", "{a: b: c}", "!tag x", ""],
    "proto": ['syntax = "proto3";\nmessage A {}', "message A {", "hello", ""],
    "user": ["jane@example.com", "jane"],
    "prose": ["# x", 1],
    "link": [
        *({"url": "https://example.com"}, {"url": "https://example.com", "displayText": "x"}, {"url": "x"}, {}),
        *(
            {"url": "https://example.com", "displayText": 1},
            {"url": "https://example.com", "title": "x"},
            "https://a.de",
        ),
    ],
    "stage": ["test", "prod", None],
    "level": [1, 2.0, 3, True],
    "undefined": ["x", None],
    "computed": ["x", None],
}

QUERY = {"combinator": "and", "rules": [{"property": "text", "operator": "=", "value": "x"}]}


def _query(**rule: Any) -> Any:
    return {"combinator": "and", "rules": [{"property": "text", "operator": "=", "value": "x", **rule}]}


SHAPES: list[dict[str, Any]] = [
    *(
        {"identifier": text}
        for text in ("a", "A-ü@_.+:\\/=9", "a b", "a'b", "", ".", "..", "...", "e\u0301", "٣", "x" * 1001)
    ),
    *({"identifier": value} for value in (1, None, ["a"], True)),
    *({"title": value} for value in ("x", None, 1, ["a"], {})),
    *({"icon": value} for value in ("Box", None, False)),
    *({"team": value} for value in (None, [], ["a", 1], 1, {"combinator": "xor", "rules": []}, _query(operator="in"))),
    {"properties": []},
    {"properties": None},
    {"relations": None},
    *({"relations": {"one": value}} for value in ("t", None, ["t"], [], 1, True, "a b", "x" * 1001, QUERY)),
    *({"relations": {"many": value}} for value in (["t"], [], None, "t", [1], ["a b"], ["."], [None])),
    *({"relations": {"nowhere": value}} for value in ("t", None)),
    *({"relations": {"many": query}} for query in (QUERY, _query(operator="in", value=["x"]), _query(operator="!="))),
    *({"relations": {"many": query}} for query in (_query(operator="in"), _query(property=1), _query(operator=None))),
    *({"relations": {"many": query}} for query in ({"combinator": "and"}, {**QUERY, "more": 1}, _query(more=1))),
    {"relations": {"many": {"combinator": "or", "rules": [QUERY]}}},
    {"relations": {"many": {"combinator": "or", "rules": [{"combinator": "nor", "rules": []}]}}},
    {"relations": {"many": {"combinator": None, "rules": [{"property": None, "operator": None, "value": None}]}}},
    {"properties": {"text": "x" * (1024 * 1024)}},
    {"properties": {"text": "x" * (1024 * 1024 - 200)}},
]

CASES = [{"properties": {name: value}} for name, values in VALUES.items() for value in values] + SHAPES
DOCUMENTS: list[dict[str, Any]] = [
    {"identifier": "thing", "title": "thing", "schema": {"properties": {"text": {"type": "string"}}, "required": []}},
    {
        "identifier": "component",
        "title": "component",
        "schema": {"properties": PROPERTIES, "required": []},
        "relations": {name: {"many": False, "required": False, **one} for name, one in RELATIONS.items()},
        "calculationProperties": {"computed": {"calculation": '"x"', "type": "string"}},
    },
    {
        "identifier": "strict",
        "title": "strict",
        "schema": {"properties": MUST, "required": ["needed", "given"]},
        "relations": {"must": {"target": "thing", "many": False, "required": True}},
    },
]
STRICT_CASES: list[dict[str, Any]] = [
    {"properties": {"needed": "x"}, "relations": {"must": "t"}},
    {"properties": {"needed": None}, "relations": {"must": "t"}},
    {"properties": {}, "relations": {"must": "t"}},
    {"properties": {"needed": "x"}, "relations": {"must": None}},
    {"properties": {"needed": "x"}},
    {"properties": {"needed": "x", "given": None}, "relations": {"must": "t"}},
]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig(held_to_specification=False) as rig:
        for document in DOCUMENTS:
            await rig.ok("POST", "/v1/blueprints", document)
        yield rig


async def test_both_take_and_refuse_the_same(rig: Rig) -> None:
    blueprints = await _blueprints(rig)
    cases = [("component", case) for case in CASES] + [("strict", case) for case in STRICT_CASES]
    differing = [line for name, case in cases if (line := await _difference(rig, blueprints, name, case))]
    assert differing == []
    assert len(cases) > 200


async def _blueprints(rig: Rig) -> dict[str, Blueprint]:
    documents = (await rig.ok("GET", "/v1/blueprints"))["blueprints"]
    return {one["identifier"]: parse_blueprint(one) for one in documents}


async def _difference(rig: Rig, blueprints: dict[str, Blueprint], name: str, case: dict[str, Any]) -> str:
    entity = {"identifier": "a", **case}
    body = json.dumps(entity, ensure_ascii=False).encode()
    identifier = entity["identifier"] if isinstance(entity["identifier"], str) else None
    objections = judge_target(TargetEntity(name, identifier, body), blueprints)
    reply = await rig.call(
        "POST", f"/v1/blueprints/{name}/entities/bulk", query=WRITE, raw=b'{"entities":[' + body + b"]}"
    )
    refused = reply.body["error"] if reply.status not in {200, 207} else next(iter(_item_codes(reply.body)), None)
    await rig.call("DELETE", f"/v1/blueprints/{name}/entities/a", query={"delete_dependents": "true"})
    foreseen = {one.code.value for one in objections}
    if (refused is None) == (not foreseen) and (refused is None or refused in foreseen):
        return ""
    words = [str(one)[:200] for one in objections]
    return f"{str(case)[:200]}: foreseen {words}, Port says {refused}: {str(reply.body)[:300]}"


def _item_codes(body: Any) -> list[str]:
    return [error["error"] for error in body["errors"]]


async def test_a_blueprint_that_is_missing_is_foreseen(rig: Rig) -> None:
    (objection,) = judge_target(TargetEntity("gone", "a", b'{"identifier":"a"}'), await _blueprints(rig))
    reply = await rig.call("POST", "/v1/blueprints/gone/entities", {"identifier": "a"}, query=STRICT_WRITE)
    assert (objection.code.value, objection.path) == (reply.error, "blueprint")
