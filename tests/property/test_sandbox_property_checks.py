"""The hand-written checks of properties agree with a general JSON Schema validator."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stageport.sandbox.port.properties import compile_property

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.5]) | st.text("ab", max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "ab"]), inner, max_size=3),
    max_leaves=8,
)


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


TYPES = st.sampled_from(["string", "number", "boolean", "object", "array"])
LEAVES = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    TYPES,
    optional(
        enum=st.lists(SCALARS, min_size=1, max_size=3),
        pattern=st.sampled_from(["^a", "b$", "^(a|b)+$", "ab"]),
        minLength=st.integers(0, 3),
        maxLength=st.integers(0, 3),
        minimum=st.integers(-2, 2),
        maximum=st.integers(-2, 2),
        exclusiveMinimum=st.integers(-2, 2),
        exclusiveMaximum=st.integers(-2, 2),
        minItems=st.integers(0, 2),
        maxItems=st.integers(0, 2),
        uniqueItems=st.booleans(),
        required=st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2),
    ),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda schema, more: {**schema, **more},
        LEAVES,
        optional(
            items=inner,
            properties=st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            patternProperties=st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
            additionalProperties=st.booleans() | inner,
        ),
    ),
    max_leaves=4,
)


OBJECTS = st.builds(
    lambda schema, properties, rest: {**schema, "type": "object", "properties": properties, **rest},
    LEAVES,
    st.dictionaries(st.sampled_from(["a", "b"]), LEAVES, min_size=1, max_size=2),
    optional(
        patternProperties=st.dictionaries(st.sampled_from(["^a", "b"]), LEAVES, max_size=1),
        additionalProperties=st.booleans() | LEAVES,
    ),
)
MEMBERS = st.dictionaries(st.sampled_from(["a", "b", "ab", "c"]), SCALARS, max_size=3)
ARRAYS = st.builds(
    lambda schema, items: {**schema, "type": "array", "items": items}, LEAVES, SCHEMAS | st.just({"type": "number"})
)
TEXTS = LEAVES.map(lambda schema: {**schema, "type": "string"})
NUMBERS = LEAVES.map(lambda schema: {**schema, "type": "number"})


def judge_alike(schema: dict[str, Any], value: Any) -> None:
    ours = compile_property(schema, formats={})(value)
    theirs = Draft7Validator(schema).is_valid(value)
    assert (ours is None) is theirs, (ours, schema, value)


@given(SCHEMAS, VALUES)
def test_same_judgement_of_anything(schema: dict[str, Any], value: Any) -> None:
    judge_alike(schema, value)


@settings(max_examples=300)
@given(OBJECTS, MEMBERS)
def test_same_judgement_of_objects(schema: dict[str, Any], value: Any) -> None:
    judge_alike(schema, value)


@settings(max_examples=200)
@given(ARRAYS, st.lists(SCALARS, max_size=3))
def test_same_judgement_of_arrays(schema: dict[str, Any], value: Any) -> None:
    judge_alike(schema, value)


@settings(max_examples=200)
@given(TEXTS, st.text("ab", max_size=4))
def test_same_judgement_of_texts(schema: dict[str, Any], value: Any) -> None:
    judge_alike(schema, value)


@settings(max_examples=200)
@given(NUMBERS, st.integers(-3, 3))
def test_same_judgement_of_numbers(schema: dict[str, Any], value: Any) -> None:
    judge_alike(schema, value)
