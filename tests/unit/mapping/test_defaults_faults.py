"""What Port's own default mapping gets wrong, and ours must not: B1 to B14 of the comparison with Ocean, one by one."""

import json

import pytest
from tests.unit.mapping.catalog_samples import (
    ASYNCAPI_YAML,
    FULL,
    GRAPHQL,
    OPENAPI_JSON,
    OPENAPI_YAML,
    PROTO,
    SPARSE,
    entity,
)
from tests.unit.mapping.evaluation import BLUEPRINTS, MAPPINGS, mapped, problems, text_of

KINDS = sorted(MAPPINGS)
OWNED_KINDS = ("component", "API", "resource", "system", "domain", "template")


def component(**relations):
    return entity("Component", "c", relations=relations)


def api(definition, kind="openapi"):
    target = mapped("API", entity("API", "a", spec={"type": kind, "definition": definition}))
    assert problems(target) == []
    return target["properties"]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"location"}))
def test_b1_links_are_urls(kind):
    urls = ["https://grafana.example.com/d/1", "https://docs.example.com:8443/a?b=c#d"]
    assert mapped(kind, FULL[kind])["properties"]["links"] == urls


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com", True),
        ("http://example.com/", True),
        ("https://sub-domain.example.co.uk:8080/path?query=1#part", True),
        ("https://EXAMPLE.com/Größe", True),
        ("https://bücher.example/", False),
        ("https://some-host/page", False),
        ("https://a_b.example.com/", False),
        ("https://a..example.com/", False),
        ("https://example.com?no-slash", False),
        ("https://example.com/a b", False),
        ("https://example.com/a\n", False),
        ("mailto:me@example.com", False),
        ("slack://channel", False),
        ("javascript:alert(1)", False),
        ("./docs/readme.md", False),
        ("example.com", False),
        ("http://localhost:3000/", False),
        ("http://wiki/page", False),
        ("https://10.0.0.1/", False),
        ("https://", False),
        ("", False),
    ],
)
def test_b1_only_links_that_port_takes_are_kept(url, kept):
    target = mapped("component", entity("Component", "c", links=[{"url": url, "title": "x"}]))
    assert target["properties"]["links"] == ([url] if kept else [])
    assert problems(target) == []


def test_b1_one_bad_link_does_not_cost_the_others():
    links = [{"url": "slack://x"}, {"title": "none"}, "text", None, {"url": 3}, {"url": "https://a.example.com"}]
    assert mapped("component", entity("Component", "c", links=links))["properties"]["links"] == [
        "https://a.example.com"
    ]


@pytest.mark.parametrize("kind", ["component", "API", "resource"])
def test_b2_without_a_system_there_is_no_ghost_system(kind):
    assert mapped(kind, SPARSE[kind])["relations"]["system"] is None
    assert "system:" not in text_of(mapped(kind, SPARSE[kind]))


@pytest.mark.parametrize("kind", ["component", "API", "resource"])
@pytest.mark.parametrize("written", ["system:Other/Sys-A", "Other/Sys-A", "Sys-A"])
def test_b3_the_system_is_the_one_that_backstage_resolved(kind, written):
    source = entity(
        kind, "x", spec={"system": written}, relations={"partOf": ["domain:default/d", "system:other/sys-a"]}
    )
    assert mapped(kind, source)["relations"]["system"] == "system:other/sys-a"


def test_b4_relations_to_many_are_complete():
    relations = mapped("component", FULL["component"])["relations"]
    assert relations["providesApis"] == ["api:default/orders", "api:default/events"]
    assert relations["consumesApis"] == ["api:default/billing", "api:default/mail"]
    assert relations["dependsOnComponent"] == ["component:default/a", "component:default/b"]
    assert relations["dependsOnResource"] == ["resource:default/orders-db"]
    members = mapped("group", FULL["group"])["relations"]["members"]
    assert members == ["user:default/ada", "user:default/grace"]
    assert mapped("resource", FULL["resource"])["relations"]["dependsOnComponent"] == ["component:default/operator"]


def test_b4_relations_to_many_stay_lists_with_one_and_with_none():
    assert mapped("component", component(providesApi=["api:default/a"]))["relations"]["providesApis"] == [
        "api:default/a"
    ]
    assert mapped("component", component())["relations"]["providesApis"] == []


def test_b5_subcomponents_are_found_by_part_of():
    source = component(partOf=["system:default/s", "component:default/suite"])
    relations = mapped("component", source)["relations"]
    assert relations["subcomponentOf"] == "component:default/suite"
    assert relations["system"] == "system:default/s"


@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize(
    ("email", "kept"),
    [
        ("ada@example.com", True),
        ("Ada.Lovelace+x@sub.example.co.uk", True),
        ("ada", False),
        ("ada@", False),
        ("o'brien@example.com", True),
        ("adä@example.com", False),
        ("ada@localhost", False),
        ("ada@example.com, bob@example.com", False),
        ("Ada <ada@example.com>", False),
        ("a..b@example.com", False),
        ("ada@-example.com", False),
        ("ada@example.com\n", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_b6_email_comes_from_the_profile_and_is_plausible(kind, email, kept):
    target = mapped(kind, entity(kind, "x", spec={"profile": {"email": email}}))
    assert target["properties"]["email"] == (email if kept else None)
    assert problems(target) == []


@pytest.mark.parametrize(
    ("kind", "kind_of_it"),
    [
        ("group", "team"),
        ("component", "service"),
        ("API", "openapi"),
        ("resource", "database"),
        ("template", "service"),
    ],
)
def test_b7_the_type_comes_from_the_spec(kind, kind_of_it):
    assert mapped(kind, FULL[kind])["properties"]["type"] == kind_of_it


@pytest.mark.parametrize("kind", ["user", "group"])
def test_b8_people_and_groups_are_called_by_their_display_name(kind):
    assert mapped(kind, entity(kind, "x", title="T", spec={"profile": {"displayName": "D"}}))["title"] == "D"
    assert mapped(kind, entity(kind, "x", title="T", spec={"profile": {}}))["title"] == "T"
    assert mapped(kind, entity(kind, "x", spec={}))["title"] == "x"


@pytest.mark.parametrize("kind_of_api", ["openapi", "open-api"])
def test_b9_openapi_in_json_shows_as_an_object(kind_of_api):
    properties = api(OPENAPI_JSON, kind_of_api)
    assert properties["definitionOpenAPI"] == json.loads(OPENAPI_JSON)
    assert properties["definitionOpenAPIYaml"] is None
    assert properties["definition"] == OPENAPI_JSON


@pytest.mark.parametrize("text", [OPENAPI_YAML, "swagger: '2.0'\npaths: {}\n", "# c\n---\nopenapi : 3.1.0\n"])
def test_b9_openapi_in_yaml_shows_as_yaml(text):
    properties = api(text)
    assert properties["definitionOpenAPI"] is None
    assert properties["definitionOpenAPIYaml"] == text
    assert properties["definition"] == text


def test_b9_asyncapi_shows_as_well():
    assert api(ASYNCAPI_YAML, "asyncapi")["definitionAsyncAPIYaml"] == ASYNCAPI_YAML
    assert api('{"asyncapi": "2.6.0"}', "asyncapi")["definitionAsyncAPI"] == {"asyncapi": "2.6.0"}
    assert api(ASYNCAPI_YAML, "asyncapi")["definitionOpenAPIYaml"] is None


def test_b9_grpc_and_graphql_show_as_text():
    assert api(PROTO, "grpc")["definitionGRPC"] == PROTO
    assert api(GRAPHQL, "graphql")["definitionGraphQL"] == GRAPHQL


@pytest.mark.parametrize("kind_of_api", ["openapi", "asyncapi", "grpc", "trpc"])
@pytest.mark.parametrize("text", ["to be written", "[1, 2]", "nan", '"openapi: 3"'])
def test_b9_a_text_that_is_no_such_definition_stays_a_text(kind_of_api, text):
    properties = api(text, kind_of_api)
    assert {name for name, got in properties.items() if name.startswith("definition") and got} == {"definition"}


def test_b9_the_properties_are_of_the_types_that_existing_users_have():
    properties = BLUEPRINTS["api"]["schema"]["properties"]
    known = {"definition": "string", "definitionOpenAPI": "object", "definitionAsyncAPI": "object"}
    known |= {"definitionGRPC": "string", "definitionGraphQL": "string"}
    assert {name: properties[name]["type"] for name in known} == known
    assert properties["definitionOpenAPI"]["spec"] == properties["definitionOpenAPIYaml"]["spec"] == "open-api"
    assert properties["definitionAsyncAPI"]["spec"] == properties["definitionAsyncAPIYaml"]["spec"] == "async-api"


def test_b9_a_definition_that_is_already_an_object_is_taken():
    properties = api({"openapi": "3.0.0"})
    assert properties["definitionOpenAPI"] == {"openapi": "3.0.0"}
    assert properties["definition"] == '{"openapi":"3.0.0"}'


@pytest.mark.parametrize(
    ("text", "kind_of_api"),
    [
        (json.dumps({"openapi": "3", "x": 'é\n"' * 60_000}), "openapi"),
        ("openapi: 3\n" + "x: é\n" * 60_000, "openapi"),
        ("syntax = 'proto3';\n" + '"' * 300_000, "grpc"),
    ],
)
def test_b9_a_very_large_definition_never_makes_the_entity_too_large(text, kind_of_api):
    target = mapped("API", entity("API", "a", spec={"type": kind_of_api, "definition": text}))
    assert len(text_of(target).encode()) < 1024 * 1024 - 100_000


def test_b9_definitions_are_left_out_above_the_limit_only():
    head = "openapi: 3\nx: "
    just_fits = head + "x" * (400_000 - len(json.dumps(head)))
    assert api(just_fits)["definitionOpenAPIYaml"] == just_fits
    assert api(just_fits + "x")["definitionOpenAPIYaml"] is None
    assert api(just_fits + "x")["definition"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_b10_nothing_is_never_the_word_null(kind):
    assert '"null"' not in text_of(mapped(kind, SPARSE[kind]))


@pytest.mark.parametrize("kind", OWNED_KINDS)
def test_b11_all_owners_are_kept(kind):
    refs = ["group:default/shop", "user:default/ada", "group:default/ops", "user:default/bob", "robot:default/r2"]
    relations = mapped(kind, entity(kind, "x", relations={"ownedBy": refs}))["relations"]
    assert relations["owningGroup"] == "group:default/shop"
    assert relations["owningUser"] == "user:default/ada"
    assert relations["owningGroups"] == ["group:default/shop", "group:default/ops"]
    assert relations["owningUsers"] == ["user:default/ada", "user:default/bob"]


@pytest.mark.parametrize("kind", OWNED_KINDS)
def test_b11_an_owner_that_cannot_exist_does_not_cost_the_entity(kind):
    relations = mapped(kind, entity(kind, "x", relations={"ownedBy": ["group:default/team a", "group:default/b"]}))[
        "relations"
    ]
    assert relations["owningGroup"] == "group:default/b"
    assert relations["owningGroups"] == ["group:default/b"]


def test_b12_what_the_official_mapping_leaves_out_is_mapped():
    assert mapped("system", FULL["system"])["properties"]["type"] == "product"
    assert mapped("domain", FULL["domain"])["properties"]["type"] == "core"
    assert mapped("domain", FULL["domain"])["relations"]["subdomainOf"] == "domain:default/all"
    assert mapped("group", FULL["group"])["relations"]["parent"] == "group:default/it"
    assert mapped("group", FULL["group"])["relations"]["children"] == ["group:default/a", "group:default/b"]
    assert mapped("user", FULL["user"])["relations"]["memberOf"] == ["group:default/ops", "group:default/shop"]
    assert mapped("resource", FULL["resource"])["properties"]["lifecycle"] == "production"
    for kind, needed_by in (("resource", "component:default/orders"), ("component", "component:default/web")):
        assert mapped(kind, FULL[kind])["relations"]["dependencyOfComponent"] == [needed_by]
    provided = mapped("API", FULL["API"])["relations"]
    assert provided["providedBy"] == ["component:default/orders", "component:default/orders-2"]
    assert provided["consumedBy"] == ["component:default/web"]
    assert BLUEPRINTS["domain"]["icon"] != BLUEPRINTS["group"]["icon"]


def test_b13_templates_are_mapped_with_their_owner():
    template = mapped("template", FULL["template"])
    assert template["properties"]["type"] == "service"
    assert template["relations"]["owningGroup"] == "group:default/shop"
    assert template["title"] == "New ${{ service }}"


def test_b13_locations_are_mapped_when_asked_for():
    assert mapped("location", FULL["location"])["properties"]["targets"] == ["https://x/a", "./b", "./c"]


@pytest.mark.parametrize(
    ("spec", "metadata", "language"),
    [
        ({"language": "java"}, {}, "java"),
        ({}, {"labels": {"language": "go"}}, "go"),
        ({}, {"annotations": {"language": "rust"}}, "rust"),
        ({"language": ["java"]}, {"labels": {"language": "go"}}, "go"),
        ({}, {}, None),
    ],
)
def test_b14_the_language_is_looked_for_where_catalogs_keep_it(spec, metadata, language):
    assert mapped("component", entity("Component", "c", spec=spec, **metadata))["properties"]["language"] == language
