"""What the Backstage stand-in accepts. Each case was put to a real Backstage 1.55, which judged the same."""

import pytest

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog

SPEC = {"type": "service", "lifecycle": "x", "owner": "o"}
API = {"type": "openapi", "lifecycle": "x", "owner": "o"}
SCAFFOLDER = "scaffolder.backstage.io/v1beta3"


def entity(
    kind: str, spec: Json = None, *, api: str = "backstage.io/v1alpha1", name: str = "x", **metadata: Json
) -> Json:
    written = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}}
    return written if spec is None else {**written, "spec": spec}


REFUSED = {
    "name with a space": entity("Component", SPEC, name="a b"),
    "name of 64 characters": entity("Component", SPEC, name="y" * 64),
    "namespace with a capital": entity("Component", SPEC, namespace="Upper"),
    "empty namespace": entity("Component", SPEC, namespace=""),
    "no spec": entity("Component"),
    "no owner": entity("Component", {"type": "a", "lifecycle": "b"}),
    "empty owner": entity("Component", {**SPEC, "owner": ""}),
    "system that is null": entity("Component", {**SPEC, "system": None}),
    "dependsOn that is no list": entity("Component", {**SPEC, "dependsOn": "component:x"}),
    "dependency without a kind": entity("Component", {**SPEC, "dependsOn": ["foo"]}),
    "ref without a name": entity("Component", {**SPEC, "owner": "group:"}),
    "kind in lower case": entity("component", SPEC),
    "foreign apiVersion": entity("Component", SPEC, api="example.com/v1"),
    "apiVersion with a space": entity("Environment", {}, api="a b/v1"),
    "label that is a number": entity("Component", SPEC, labels={"a": 1}),
    "label with a space": entity("Component", SPEC, labels={"a": "not ok!"}),
    "annotation key with a space": entity("Component", SPEC, annotations={"a b": "x"}),
    "annotation that is a number": entity("Component", SPEC, annotations={"a/b": 5}),
    "tag with a capital": entity("Component", SPEC, tags=["Upper"]),
    "tags that are null": entity("Component", SPEC, tags=None),
    "link without a url": entity("Component", SPEC, links=[{"title": "x"}]),
    "link to no url": entity("Component", SPEC, links=[{"url": "not a url"}]),
    "link to a path": entity("Component", SPEC, links=[{"url": "/x/y"}]),
    "link to no host": entity("Component", SPEC, links=[{"url": "http://"}]),
    "link with an empty title": entity("Component", SPEC, links=[{"url": "http://x", "title": ""}]),
    "link with a blank title": entity("Component", SPEC, links=[{"url": "http://x", "title": "  "}]),
    "empty title": entity("Component", SPEC, title=""),
    "keys that differ in casing": entity("Component", {**SPEC, "Type": "doubled"}),
    "foreign root field": {**entity("Component", SPEC), "status": {"items": []}},
    "relations of its own": {**entity("Component", SPEC), "relations": []},
    "group without children": entity("Group", {"type": "t"}),
    "empty display name": entity("Group", {"type": "t", "children": [], "profile": {"displayName": ""}}),
    "user without memberOf": entity("User", {}),
    "empty definition": entity("API", {**API, "definition": ""}),
    "API without a definition": entity("API", {**API, "type": "mcp-server", "remotes": [{"type": "sse", "url": "u"}]}),
    "template of an old version": entity("Template", {"type": "s", "steps": []}, api="backstage.io/v1beta2"),
    "template without steps": entity("Template", {"type": "s"}, api=SCAFFOLDER),
    "step without an action": entity("Template", {"type": "s", "steps": [{"id": "x"}]}, api=SCAFFOLDER),
    "template with an empty owner": entity("Template", {"type": "s", "steps": [], "owner": ""}, api=SCAFFOLDER),
    "parameters that are a text": entity("Template", {"type": "s", "steps": [], "parameters": "x"}, api=SCAFFOLDER),
    "location of unknown presence": entity("Location", {"targets": ["a"], "presence": "maybe"}),
    "no metadata": {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "spec": SPEC},
    "no kind": {"apiVersion": "backstage.io/v1alpha1", "metadata": {"name": "x"}, "spec": SPEC},
}
ACCEPTED = {
    "beta version": entity("Component", SPEC, api="backstage.io/v1beta1"),
    "name of 63 characters": entity("Component", SPEC, name="x" * 63),
    "name with all that is allowed": entity("Component", SPEC, name="a_b.c-D", namespace="n-1--2"),
    "empty label": entity("Component", SPEC, labels={"a": ""}),
    "empty description": entity("Component", SPEC, description=""),
    "link with a blank type": entity("Component", SPEC, links=[{"url": "http://x", "type": "  "}]),
    "link by mail": entity("Component", SPEC, links=[{"url": "mailto:a@b"}]),
    "tag with a colon": entity("Component", SPEC, tags=["a:b", "c++", "c#"]),
    "dependencyOf that is a text": entity("Component", {**SPEC, "dependencyOf": "component:default/y"}),
    "unicode": entity("Component", SPEC, title="Ü ß 日本 📦", description='"quoted" \\ \t'),
    "fields of one's own": entity("Component", {**SPEC, "n": 1.5, "z": None, "deep": {"a": [1, {"b": True}]}}),
    "user of no group": entity("User", {"memberOf": [], "profile": {"email": "a@b"}}),
    "location without anything": entity("Location", {}),
    "template without owner": entity("Template", {"type": "s", "steps": []}, api=SCAFFOLDER),
    "custom kind": entity("Environment", {"owner": "o"}, api="a.b/v1"),
    "custom kind without spec": entity("Environment", api="a.b/v1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_backstage_rejects_is_rejected(name: str) -> None:
    catalog = Catalog([REFUSED[name]])

    assert len(catalog) == 0
    assert len(catalog.rejected) == 1


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_backstage_accepts_is_accepted(name: str) -> None:
    catalog = Catalog([ACCEPTED[name]])

    assert catalog.rejected == {}
    assert len(catalog) == 1


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:/a/b.yaml", {}),
        ("url:https://git.example/a.yaml", {"view-url": "https://git.example/a.yaml"}),
        (
            "url:https://github.com/a/b/blob/main/c/catalog-info.yaml",
            {
                "view-url": "https://github.com/a/b/blob/main/c/catalog-info.yaml",
                "edit-url": "https://github.com/a/b/edit/main/c/catalog-info.yaml",
                "source-location": "url:https://github.com/a/b/tree/main/c/",
            },
        ),
        (
            f"url:https://github.com/a/b/blob/{'0' * 40}/catalog-info.yaml",
            {
                "view-url": f"https://github.com/a/b/blob/{'0' * 40}/catalog-info.yaml",
                "source-location": f"url:https://github.com/a/b/tree/{'0' * 40}/",
            },
        ),
    ],
)
def test_a_location_says_where_to_view_and_edit(location: str, expected: Json) -> None:
    catalog = Catalog([entity("Component", SPEC, annotations={"backstage.io/managed-by-location": location})])

    annotations = catalog.entity("component:default/x")["metadata"]["annotations"]

    assert annotations.pop("backstage.io/managed-by-location") == location
    assert annotations.pop("backstage.io/managed-by-origin-location") == location
    assert annotations == {f"backstage.io/{name}": value for name, value in expected.items()}


def test_a_link_that_runs_a_script_is_defused() -> None:
    catalog = Catalog([entity("Component", SPEC, annotations={"backstage.io/view-url": " java\nscript:alert(1)"})])

    annotations = catalog.entity("component:default/x")["metadata"]["annotations"]
    assert annotations["backstage.io/view-url"].startswith("https://backstage.io/annotation-rejected")
