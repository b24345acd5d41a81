"""The questions that the real Backstage and the stand-in must answer alike.

Each is asked about the catalog in `catalog.yaml`. What the real one answered is kept in `recorded_answers.json`:
the stand-in is held against it with every test run, the real one whenever the end-to-end tests run. Those to
by-query stand next door.
"""

from collections.abc import Iterator

from tests.contract.catalog_asking import Bearer, Listing, Question
from tests.contract.catalog_query_questions import BY_QUERY, QUERY_QUESTIONS, REF, REF_FIELDS, get, post

_NOBODYS_UID = "00000000-0000-0000-0000-000000000000"

_REFS = '"entityRefs":["component:default/typesetter","a:b/c","user:default/ada.writer","component:default/typesetter"]'

_REFS_BODIES = """
{{refs},{ref}}
{{refs},{ref},"query":{"kind":"user"}}
{{refs},{ref},"bogus":1}
{{refs},"fields":[]}
{{refs},"fields":"kind"}
{{refs},"fields":["metadata[0]"]}
{{refs},"query":"kind=user"}
{"entityRefs":["Component:default/Typesetter","component:typesetter","typesetter","","a:b:c/d/e"],{ref}}
{"entityRefs":["user:default/no-profile"]}
{"entityRefs":[]}
{"entityRefs":null}
{"entityRefs":"user:default/ada.writer"}
{"entityRefs":[1]}
{"entityRefs":[null]}
{}
[]
"""


def _by_refs() -> Iterator[Question]:
    path, ordered = "/entities/by-refs", Listing.ORDERED
    plain = f"{{{_REFS},{REF_FIELDS}}}"
    for body in _REFS_BODIES.split():
        sent = body.replace("{refs}", _REFS).replace("{ref}", REF_FIELDS)
        yield post(f"by-refs: {body}", path, sent, listing=ordered)
    for parameter in ("filter=kind=user", "limit=1", "fields=kind"):
        yield post(f"by-refs?{parameter}", f"{path}?{parameter}", plain, listing=ordered)
    yield post("by-refs: an empty body", path, "", listing=ordered)
    yield post("by-refs: no JSON", path, '{"entityRefs": [', free_wording=True)
    yield post("by-refs: no content type", path, plain, headers={}, listing=ordered)
    for size in (102_400, 102_401):
        yield post(f"by-refs: {size} bytes", path, _refs_of_size(size), listing=Listing.PART_BY_UID)


def _refs_of_size(size: int) -> str:
    head, tail = '{"fields":["kind"],"entityRefs":["', '"]}'
    return head + "x" * (size - len(head) - len(tail)) + tail


_SINGLES = f"""
/entities/by-name/component/default/typesetter
/entities/by-name/COMPONENT/Default/TypeSetter
/entities/by-name/user/default/ada%2Ewriter
/entities/by-name/environment/workshop/production
/entities/by-name/component/default/No-Body
/entities/by-name/spaceship/default/typesetter
/entities/by-name/component/typesetter
/entities/by-name/component/default/typesetter?fields=kind
/entities/by-name/component/default/a%2Fb
/entities/by-name/component/default/%E0%A4%A
/entities/by-name/component/default/proofreader/ancestry
/entities/by-name/component/default/nobody/ancestry
/entities/by-uid/{_NOBODYS_UID}
/entities/by-uid/typesetter
/entity-facets
/entity-facets?facet=
/entity-facets?facet=kind
/entity-facets?facet=KIND
/entity-facets?facet=kind&facet=metadata.namespace
/entity-facets?facet=kind,spec.type
/entity-facets?facet=spec.type
/entity-facets?facet=relations.ownedBy
/entity-facets?facet=metadata.tags
/entity-facets?facet=metadata.tags.java
/entity-facets?facet=metadata.name
/entity-facets?facet=nothing
/entity-facets?facet=spec.replicas&facet=spec.protected&facet=spec.retired
/entity-facets?facet=metadata.annotations.atlas.example/essay
/entity-facets?facet=spec.type&filter=kind=component
/entity-facets?facet=kind&filter=kind=api&filter=kind=user
/entity-facets?facet=kind&filter=
/entity-facets?facet=kind&bogus=1
/locations
/nothing-here
/entities/nothing-here
/
//
//api
//api/nothing-here/x
//nothing
"""

_FACETS_BODIES = """
{"facets":["kind","spec.type"]}
{"facets":["kind"],"query":{"kind":{"$in":["api","user"]}}}
{"facets":["kind"],"query":[]}
{"facets":["kind"],"bogus":1}
{"facets":"kind"}
{"facets":[]}
{}
"""

_REFRESH_BODIES = """
{"entityRef":"component:default/typesetter"}
{"entityRef":"component:default/nobody"}
{"entityRef":"a:b/c","bogus":1}
{}
"""


def _singles() -> Iterator[Question]:
    for path in _SINGLES.split():
        yield get(f"get {path}", path)
    for path in (f"{BY_QUERY}?{REF}", "/entities/by-name/component/default/typesetter"):
        yield Question(name=f"head {path}", path=path, method="HEAD")
    yield Question(name="delete nobody", path=f"/entities/by-uid/{_NOBODYS_UID}", method="DELETE")
    for method in ("PUT", "PATCH", "DELETE"):
        yield Question(name=f"{method.lower()} by-query", path=BY_QUERY, method=method)
    yield post("post by-name", "/entities/by-name/component/default/typesetter", "{}")
    for body in _FACETS_BODIES.split():
        yield post(f"post facets: {body}", "/entity-facets", body)
    for body in _REFRESH_BODIES.split():
        yield post(f"refresh: {body}", "/refresh", body)


_LISTS_BY_UID = """
?filter=kind=user
?{ref}
?{ref}&filter=kind=component
?{ref}&filter=kind=unknown
"""

_LISTS_IN_ORDER = """
?{ref}&limit=3
?{ref}&limit=3&offset=4
?{ref}&offset=15
?{ref}&limit=1000
?{ref}&filter=kind=component&limit=2
?{ref}&order=asc:metadata.name
?{ref}&order=desc:metadata.name&limit=4
?{ref}&order=asc:metadata.title&limit=3
?{ref}&after=eyJsaW1pdCI6Mywib2Zmc2V0IjozfQ%3D%3D
?limit=0
?limit=-1
?offset=x
?order=metadata.name
?order=up:metadata.name
?after=garbage
?after=
?bogus=1
"""


def _lists() -> Iterator[Question]:
    yield get("entities", "/entities", listing=Listing.PART_BY_UID)
    for texts, listing in {_LISTS_BY_UID: Listing.BY_UID, _LISTS_IN_ORDER: Listing.ORDERED}.items():
        for rest in texts.split():
            yield get(f"entities{rest}", "/entities" + rest.replace("{ref}", REF), listing=listing)


_ROUTES = (
    get("by-query", f"{BY_QUERY}?limit=5"),
    get("by-name", "/entities/by-name/component/default/typesetter"),
    get("by-uid", f"/entities/by-uid/{_NOBODYS_UID}"),
    get("ancestry", "/entities/by-name/component/default/typesetter/ancestry"),
    get("facets", "/entity-facets?facet=kind&facet=spec.type"),
    get("entities", "/entities"),
    get("entities by limit", "/entities?limit=3"),
    get("locations", "/locations"),
    get("an unrouted path", "/nothing-here"),
    get("a wrong question", f"{BY_QUERY}?bogus=1"),
    post("by-refs", "/entities/by-refs", '{"entityRefs":["component:default/typesetter","a:b/c"]}'),
    post("post by-query", BY_QUERY, '{"limit":5}'),
    post("refresh", "/refresh", '{"entityRef":"component:default/typesetter"}'),
    Question(name="delete", path=f"/entities/by-uid/{_NOBODYS_UID}", method="DELETE"),
)

_AUTHORIZATIONS = (
    *("", "Basic YTpi", "Bearer", "Bearer ", "Bearer a b"),
    *("bearer nobody-knows-this-token", "nobody-knows-this-token"),
)


def _access() -> Iterator[Question]:
    for bearer in (Bearer.NOBODY, Bearer.UNKNOWN, Bearer.DENIED, Bearer.RESTRICTED):
        for route in _ROUTES:
            yield Question(
                name=f"{bearer.value}: {route.name}",
                path=route.path,
                method=route.method,
                body=route.body,
                headers=route.headers,
                bearer=bearer,
            )
    for header in _AUTHORIZATIONS:
        headers = {"Authorization": header}
        yield get(f"authorization: {header}", f"{BY_QUERY}?limit=0", bearer=Bearer.NOBODY, headers=headers)


def _extremes() -> Iterator[Question]:
    for size in (15_000, 20_000):
        yield get(f"a filter of {size} bytes", f"{BY_QUERY}?limit=0&filter=metadata.name={'x' * size}")
    bodies = {
        "everything": BY_QUERY,
        "something small": f"{BY_QUERY}?limit=0",
        "a projection": f"{BY_QUERY}?fields=kind,metadata",
        "one entity": "/entities/by-name/component/default/typesetter",
    }
    for coding in ("gzip", "deflate", "gzip, deflate"):
        for name, path in bodies.items():
            yield get(f"compressed by {coding}: {name}", path, headers={"Accept-Encoding": coding})


QUESTIONS: tuple[Question, ...] = (
    *QUERY_QUESTIONS,
    *_by_refs(),
    *_singles(),
    *_lists(),
    *_access(),
    *_extremes(),
)
