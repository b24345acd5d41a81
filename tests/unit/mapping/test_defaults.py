"""The default blueprints and the default mapping: that they fit together, and fit every kind of entity."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.mapping.catalog_samples import FULL, NULLS, SKELETONS, SPARSE
from tests.unit.mapping.evaluation import BLUEPRINTS, MAPPINGS, SETS, mapped, problems, value

from stageport.mapping.defaults import OPTIONAL_SETS, default_blueprints, default_mapping
from stageport.mapping.document import parse_mapping
from stageport.mapping.expressions import rewrite_quotes
from stageport.model.blueprints import parse_blueprint
from stageport.model.errors import MappingError
from stageport.plan.blueprints import plan_blueprints
from stageport.plan.fit import check_fields, fields_of_mapping

KINDS = sorted(MAPPINGS)


def test_the_default_kinds_are_those_that_users_expect():
    assert set(KINDS) == {"component", "API", "group", "user", "system", "domain", "resource", "template", "location"}
    assert set(BLUEPRINTS) == {kind.lower() for kind in KINDS}


def test_location_is_off_unless_asked_for():
    assert OPTIONAL_SETS == ("location",)
    assert "location" not in [resource["kind"] for resource in default_mapping()["resources"]]
    assert "location" not in [document["identifier"] for document in default_blueprints()]
    assert default_mapping(sets=SETS)["resources"][-1]["kind"] == "location"
    with pytest.raises(ValueError, match="no optional set 'nothing'; there are: location"):
        default_mapping(sets=["nothing"])


def test_the_documents_can_be_changed_without_changing_one_another():
    first = default_blueprints()
    first[0]["schema"]["properties"]["tags"]["title"] = "changed"
    assert first[1]["schema"]["properties"]["tags"]["title"] == "Tags"
    assert default_blueprints()[0]["schema"]["properties"]["tags"]["title"] == "Tags"


def test_the_mapping_document_is_accepted_without_unknown_keys():
    document = parse_mapping(default_mapping(sets=SETS))
    assert document.unknown == ()
    assert document.create_missing_related
    assert document.delete_dependents
    assert document.deletion_threshold == 0.9


def test_no_expression_needs_its_quotes_rewritten():
    """So that they mean the same in every jq, Port's own playground included."""
    for mappings in MAPPINGS.values():
        for text in [*mappings["properties"].values(), *mappings.get("relations", {}).values()]:
            assert rewrite_quotes(text) == text


def test_mapping_and_blueprints_name_exactly_the_same_fields():
    written = fields_of_mapping(parse_mapping(default_mapping(sets=SETS)))
    for name, document in BLUEPRINTS.items():
        blueprint = parse_blueprint(document)
        assert written[name].properties.keys() == blueprint.properties.keys()
        assert written[name].relations.keys() == blueprint.relations.keys()


def test_the_mapping_fits_the_blueprints():
    blueprints = {name: parse_blueprint(document) for name, document in BLUEPRINTS.items()}
    assert check_fields(blueprints, fields=fields_of_mapping(parse_mapping(default_mapping(sets=SETS)))) == ()


def test_every_relation_leads_to_a_blueprint_of_the_defaults():
    plan = plan_blueprints(default_blueprints(), {})
    assert plan.left_out == ()
    assert [document["identifier"] for document in plan.documents] == [d["identifier"] for d in default_blueprints()]


@pytest.mark.parametrize("name", sorted(BLUEPRINTS))
def test_a_blueprint_obeys_the_rules_of_port(name):
    document = BLUEPRINTS[name]
    assert set(document["schema"]) == {"properties", "required"}
    assert len(document["title"]) <= 100
    assert len(document["description"]) <= 200
    for prop in document["schema"]["properties"].values():
        assert prop["type"] in {"string", "array", "object"}
        assert len(prop["title"]) <= 100
    for relation in document.get("relations", {}).values():
        assert {"target", "required", "many", "title"} == set(relation)
        assert not relation["required"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [FULL, SPARSE, SKELETONS, NULLS], ids=["full", "sparse", "skeleton", "nulls"])
def test_every_kind_of_entity_gives_what_port_takes(kind, samples):
    target = mapped(kind, samples[kind])
    assert problems(target) == []
    assert target["identifier"] == samples[kind]["metadata"]["identifier"]
    assert target["title"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_entity_fills_every_field(kind):
    target = mapped(kind, FULL[kind])
    empty = {name for group in ("properties", "relations") for name, got in target[group].items() if not got}
    assert {name for name in empty if not name.startswith("definition")} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sparse_entity_gives_nulls_and_empty_lists_only(kind):
    target = mapped(kind, SPARSE[kind])
    for group in ("properties", "relations"):
        assert all(got is None or got == [] for got in target[group].values())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.sampled_from(["user:default/a", "x@y.z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RELATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["ownedBy", "partOf", "dependsOn", "memberOf", "childOf", "providesApi", "custom"]),
            "targetRef": st.from_regex(r"\A(user|group|component|system|api|custom):[a-z]{1,4}/[a-zé .]{1,6}\Z"),
        }
    ),
    max_size=6,
)
LINK_VALUES = st.lists(st.one_of(JSON_VALUES, st.builds(lambda url: {"url": url}, st.text(max_size=12))), max_size=3)


@settings(max_examples=60, deadline=timedelta(seconds=2))
@given(
    kind=st.sampled_from(KINDS),
    relations=RELATIONS,
    links=LINK_VALUES,
    email=st.text(max_size=15),
    definition=st.one_of(
        st.none(), st.text(max_size=30), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    ),
    kind_of_api=st.sampled_from(["openapi", "asyncapi", "grpc", "graphql", "trpc"]),
)
def test_whatever_is_left_open_by_backstage_still_gives_what_port_takes(
    kind, relations, links, email, definition, kind_of_api
):
    spec = {"profile": {"email": email}, "definition": definition, "type": kind_of_api, "language": links}
    metadata = {"name": "a", "identifier": "x:default/a", "links": links}
    target = mapped(kind, {"metadata": metadata, "spec": spec, "relations": relations})
    assert problems(target) == []


def test_expressions_have_one_output_even_where_nothing_is_found():
    assert value(MAPPINGS["component"]["relations"]["system"], {}) is None
    assert value(MAPPINGS["component"]["relations"]["providesApis"], {}) == []


@pytest.mark.parametrize("ending", ["json", "yml", "yaml"])
def test_documents_of_a_folder_replace_the_packaged_ones(tmp_path, ending):
    (tmp_path / f"blueprints.{ending}").write_text('[{"identifier": "mine"}]')
    (tmp_path / f"port-app-config.{ending}").write_text('{"resources": [{"kind": "mine"}], "enableMergeEntity": false}')
    assert default_blueprints(folder=tmp_path) == [{"identifier": "mine"}]
    assert default_mapping(folder=tmp_path) == {"resources": [{"kind": "mine"}], "enableMergeEntity": False}
    assert len(default_mapping(sets=SETS, folder=tmp_path)["resources"]) == 2


def test_what_a_folder_does_not_hold_is_packaged(tmp_path):
    assert default_blueprints(folder=tmp_path / "absent") == default_blueprints()
    assert default_mapping(folder=tmp_path) == default_mapping()


@pytest.mark.parametrize(
    ("name", "text"), [("blueprints.yaml", "a: 1"), ("blueprints.yml", "{"), ("blueprints.json", "")]
)
def test_a_file_that_holds_no_blueprints_is_refused_by_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(MappingError, match=name):
        default_blueprints(folder=tmp_path)
