"""Whether a mapping fits the blueprints at Port."""

import pytest

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.mapping.document import parse_mapping
from stageport.model.blueprints import Blueprint, Relation, parse_blueprint
from stageport.plan.blueprints import plan_blueprints
from stageport.plan.fit import (
    MappedFields,
    MappedRelation,
    Trouble,
    check_fields,
    fields_of_mapping,
    fit_mapping,
    gives_many,
)

THERE = Blueprint(
    "service",
    properties={"type": {"type": "string"}, "links": {"type": "array"}, "free": {}},
    required=frozenset({"type"}),
    relations={"system": Relation("system"), "apis": Relation("api", many=True)},
    read_only=frozenset({"score"}),
)
FITTING = {"type": "string", "links": "array", "free": "object"}


def check(properties=None, relations=None):
    fields = MappedFields(properties=FITTING if properties is None else properties, relations=relations or {})
    return [(each.field, each.trouble) for each in check_fields({"service": THERE}, fields={"service": fields})]


def resource(blueprint='"service"', *, properties=None, relations=None):
    mappings = {"identifier": ".x", "blueprint": blueprint, "properties": properties or {"type": ".t"}}
    if relations:
        mappings["relations"] = relations
    return {"kind": "component", "selector": {"query": "true"}, "port": {"entity": {"mappings": mappings}}}


def test_a_fitting_mapping_has_no_mismatch():
    assert check(relations={"system": MappedRelation(), "apis": MappedRelation(many=True, target="api")}) == []


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({**FITTING, "new": None}, ("properties.new", Trouble.NO_PROPERTY)),
        ({**FITTING, "score": None}, ("properties.score", Trouble.COMPUTED_PROPERTY)),
        ({**FITTING, "links": "string"}, ("properties.links", Trouble.PROPERTY_TYPE)),
        ({"links": None}, ("properties.type", Trouble.REQUIRED_UNMAPPED)),
    ],
)
def test_a_property_that_does_not_fit_is_named(properties, expected):
    assert check(properties) == [expected]


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ({"new": MappedRelation()}, ("relations.new", Trouble.NO_RELATION)),
        ({"system": MappedRelation(many=True)}, ("relations.system", Trouble.RELATION_ARITY)),
        ({"apis": MappedRelation(many=False)}, ("relations.apis", Trouble.RELATION_ARITY)),
        ({"apis": MappedRelation(target="other")}, ("relations.apis", Trouble.RELATION_TARGET)),
    ],
)
def test_a_relation_that_does_not_fit_is_named(relation, expected):
    assert check(relations=relation) == [expected]


def test_a_missing_blueprint_is_named():
    found = check_fields({}, fields={"service": MappedFields()})
    assert [(each.trouble, each.message) for each in found] == [
        (Trouble.NO_BLUEPRINT, "there is no blueprint service, to which the mapping writes")
    ]


@pytest.mark.parametrize(
    ("expression", "many"),
    [
        ("[.relations[] | .targetRef]", True),
        (' [ .a["]"], "x]" ] ', True),
        ("[.a][0]", None),
        ("[.a] + [.b]", None),
        ("[.a] | first", None),
        (".spec.owners", None),
        (".metadata.tags", True),
        (".relations[]?.targetRef", False),
        ('.relations[] | select(.type == "partOf") | .targetRef', False),
        ("[.a", None),
    ],
)
def test_what_an_expression_gives_is_told_from_its_text(expression, many):
    assert gives_many(expression) is many


def test_what_a_mapping_writes_is_joined_over_its_resources():
    config = {
        "resources": [
            resource(properties={"type": ".t"}, relations={"apis": "[.a]"}),
            resource(properties={"links": "[.b]"}, relations={"system": ".s"}),
            resource(".kind", properties={"other": ".o"}),
        ]
    }
    fields = fields_of_mapping(parse_mapping(config))
    assert fields == {
        "service": MappedFields(
            properties={"type": None, "links": "array"},
            relations={"apis": MappedRelation(many=True), "system": MappedRelation()},
        )
    }


def test_a_search_query_may_give_one_or_many():
    query = {"combinator": '"and"', "rules": [{"property": '"$title"', "operator": '"="', "value": ".x"}]}
    config = {"resources": [resource(relations={"system": query, "apis": query})]}
    assert check_fields({"service": THERE}, fields=fields_of_mapping(parse_mapping(config))) == ()


def test_a_mapping_is_fitted_by_leaving_out_what_port_would_refuse():
    config = {
        "createMissingRelatedEntities": False,
        "resources": [
            resource(properties={"type": ".t", "new": ".n"}, relations={"system": "[.s]", "apis": "[.a]"}),
            resource('"other"', properties={"new": ".n"}),
        ],
    }
    blueprints = {"service": THERE, "other": Blueprint("other", properties={"new": {}})}
    mismatches = check_fields(blueprints, fields=fields_of_mapping(parse_mapping(config)))
    fitted = fit_mapping(config, mismatches=mismatches)
    assert fitted["createMissingRelatedEntities"] is False
    assert fitted["resources"] == [
        resource(properties={"type": ".t"}, relations={"apis": "[.a]"}),
        resource('"other"', properties={"new": ".n"}),
    ]
    assert check_fields(blueprints, fields=fields_of_mapping(parse_mapping(fitted))) == ()
    assert "new" in config["resources"][0]["port"]["entity"]["mappings"]["properties"]


def test_the_default_mapping_fits_blueprints_that_lack_what_is_new():
    """As in an account that already has the blueprints of Port's own integration."""
    lost = {"owningUsers", "owningGroups", "memberOf", "children", "definitionOpenAPIYaml", "lifecycle"}
    existing = {}
    for document in default_blueprints():
        schema = document["schema"]
        schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in lost}
        document["relations"] = {name: each for name, each in document["relations"].items() if name not in lost}
        existing[document["identifier"]] = parse_blueprint({**document, "title": "theirs"})
    plan = plan_blueprints(default_blueprints(), existing)
    assert {each.field.partition(".")[2] for each in plan.mismatches} == lost
    fitted = fit_mapping(default_mapping(), mismatches=plan.mismatches)
    assert check_fields(existing, fields=fields_of_mapping(parse_mapping(fitted))) == ()
