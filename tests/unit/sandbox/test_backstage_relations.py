"""Relations in the Backstage stand-in: both ways, as Backstage's processors make them."""

import pytest

from stageport.model.entities import Json
from stageport.sandbox.backstage.acceptance import RejectedError
from stageport.sandbox.backstage.relations import RelationReader

SPECS = {
    "Component": {"type": "service", "lifecycle": "production", "owner": "o"},
    "API": {"type": "openapi", "lifecycle": "production", "owner": "o", "definition": "d"},
    "Resource": {"type": "database", "owner": "o"},
    "System": {"owner": "o"},
    "Domain": {"owner": "o"},
    "Group": {"type": "team", "children": []},
    "User": {"memberOf": []},
    "Template": {"type": "service", "steps": []},
    "Location": {"type": "url"},
}


def declared(kind: str, spec: Json, *, namespace: str = "default") -> list[tuple[str, str]]:
    entity = {"kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": spec}
    return [(relation.type, relation.target) for relation in RelationReader().declared(entity)]


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        ("Component", "owner", "team", ("ownedBy", "group:default/team")),
        ("Component", "owner", "user:Ada.Lovelace", ("ownedBy", "user:default/ada.lovelace")),
        ("Component", "system", "Shop", ("partOf", "system:default/shop")),
        ("Component", "subcomponentOf", "big", ("partOf", "component:default/big")),
        ("Component", "providesApis", ["a"], ("providesApi", "api:default/a")),
        ("Component", "consumesApis", ["other/a"], ("consumesApi", "api:other/a")),
        ("Component", "dependsOn", ["resource:db"], ("dependsOn", "resource:default/db")),
        ("Component", "dependencyOf", ["component:y"], ("dependencyOf", "component:default/y")),
        ("API", "owner", "team", ("ownedBy", "group:default/team")),
        ("API", "system", "system:other/s", ("partOf", "system:other/s")),
        ("Resource", "dependsOn", ["resource:n/db"], ("dependsOn", "resource:n/db")),
        ("Resource", "dependencyOf", ["component:c"], ("dependencyOf", "component:default/c")),
        ("Resource", "system", "s", ("partOf", "system:default/s")),
        ("System", "owner", "team", ("ownedBy", "group:default/team")),
        ("System", "domain", "d", ("partOf", "domain:default/d")),
        ("Domain", "subdomainOf", "d", ("partOf", "domain:default/d")),
        ("Domain", "owner", "team", ("ownedBy", "group:default/team")),
        ("User", "memberOf", ["g"], ("memberOf", "group:default/g")),
        ("Group", "parent", "g", ("childOf", "group:default/g")),
        ("Group", "children", ["g"], ("parentOf", "group:default/g")),
        ("Group", "members", ["u"], ("hasMember", "user:default/u")),
        ("Template", "owner", "team", ("ownedBy", "group:default/team")),
        ("Environment", "owner", "team", ("ownedBy", "group:default/team")),
    ],
)
def test_a_field_declares_its_relation(kind: str, field: str, value: Json, expected: tuple[str, str]) -> None:
    assert declared(kind, {field: value}) == [expected]


@pytest.mark.parametrize("field", ["dependsOn", "providesApis", "subcomponentOf"])
def test_an_api_has_no_such_relation(field: str) -> None:
    assert declared("API", {field: ["component:x"]}) == []


def test_a_custom_kind_has_an_owner_and_nothing_else() -> None:
    assert declared("Environment", {"owner": "o", "system": "s", "dependsOn": ["component:x"]}) == [
        ("ownedBy", "group:default/o")
    ]


def test_a_ref_without_namespace_means_the_namespace_of_who_writes_it() -> None:
    assert declared("Component", {"owner": "team", "system": "default/s"}, namespace="insight") == [
        ("ownedBy", "group:insight/team"),
        ("partOf", "system:default/s"),
    ]


@pytest.mark.parametrize("ref", ["group:", "a/", "/a", ":a", "group:x/"])
def test_a_malformed_ref_rejects_the_whole_entity(ref: str) -> None:
    with pytest.raises(RejectedError, match="was not on the form"):
        declared("Component", {"owner": ref})


def test_dependencies_say_their_kind() -> None:
    with pytest.raises(RejectedError, match="missing or empty kind"):
        declared("Component", {"dependsOn": ["db"]})


def test_a_colon_behind_the_slash_belongs_to_the_name() -> None:
    assert declared("Component", {"owner": "n/a:b"}) == [("ownedBy", "group:n/a:b")]
