"""Running default expressions as the mapping language defines it (first output), and judging what comes out."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import jq
import jsonschema
import yaml

from stageport.mapping.defaults import default_blueprints, default_mapping

SETS = ("location",)
BLUEPRINTS = {document["identifier"]: document for document in default_blueprints(sets=SETS)}
MAPPINGS = {
    resource["kind"]: resource["port"]["entity"]["mappings"] for resource in default_mapping(sets=SETS)["resources"]
}


def is_url(text: str) -> bool:
    """As strict as the strictest JSON Schema validator: a public host with a dot, no white space."""
    host = urlsplit(text).hostname or ""
    return (
        text.isprintable()
        and " " not in text
        and text.startswith(("http://", "https://"))
        and bool(re.search(r"\w\.[^\W\d_]{2,}$", host))
    )


def is_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "(),:;<>@[]\\') - {"@"}
    return (
        plain
        and bool(at)
        and all(local.split("."))
        and len(labels) > 1
        and all(label.strip("-") == label != "" for label in labels)
    )


def is_yaml(text: str) -> bool:
    try:
        return any(True for _ in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError:
        return False


def is_proto(text: str) -> bool:
    return (
        re.search(r"^\s*(syntax|edition|package|import|option|message|enum|service)\b", text, re.MULTILINE) is not None
    )


CHECKER = jsonschema.FormatChecker(formats=())
for name, check in {"url": is_url, "email": is_email, "yaml": is_yaml, "proto": is_proto}.items():
    CHECKER.checks(name)(lambda value, check=check: not isinstance(value, str) or check(value))

PROGRAMS: dict[str, Any] = {}


def outputs(expression: str, entity: Any) -> list[Any]:
    """Return every output of an expression."""
    program = PROGRAMS.setdefault(expression, jq.compile(expression))
    return program.input_value(entity).all()


def value(expression: str, entity: Any) -> Any:
    """Return the only output of an expression: the defaults never rely on "first of several" nor on "none"."""
    found = outputs(expression, entity)
    assert len(found) == 1, f"{expression} gave {found}"
    return found[0]


def mapped(kind: str, entity: Any) -> dict[str, Any]:
    """Return the target entity that the default mapping makes."""
    mappings = MAPPINGS[kind]
    target = {key: value(mappings[key], entity) for key in ("identifier", "title", "blueprint")}
    for group in ("properties", "relations"):
        target[group] = {name: value(text, entity) for name, text in mappings.get(group, {}).items()}
    return target


def problems(target: dict[str, Any]) -> list[str]:
    """Return why Port would refuse a target entity: schema, formats, arity of relations, targets of relations."""
    blueprint = BLUEPRINTS[target["blueprint"]]
    return [*property_problems(target, blueprint), *relation_problems(target, blueprint)]


def property_problems(target: dict[str, Any], blueprint: Any) -> list[str]:
    found = []
    for name, given in target["properties"].items():
        schema = blueprint["schema"]["properties"].get(name)
        if schema is None:
            found.append(f"no property {name}")
        elif given is not None:
            validator = jsonschema.Draft7Validator(schema, format_checker=CHECKER)
            found += [f"{name}: {error.message}" for error in validator.iter_errors(given)]
    return found


def relation_problems(target: dict[str, Any], blueprint: Any) -> list[str]:
    found = []
    for name, given in target["relations"].items():
        relation = blueprint["relations"].get(name)
        if relation is None:
            found.append(f"no relation {name}")
            continue
        if relation["many"] != isinstance(given, list):
            found.append(f"{name}: {given!r} for many={relation['many']}") if relation["many"] or given else None
        refs = given if isinstance(given, list) else [given] if given else []
        found += [f"{name} leads to {ref}" for ref in refs if not ref.startswith(f"{relation['target']}:")]
    return found


def text_of(target: dict[str, Any]) -> str:
    """Return the JSON that would be sent."""
    return json.dumps(target, ensure_ascii=False)
