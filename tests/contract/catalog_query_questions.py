"""Questions to by-query, by GET and by POST: listing, paging, projecting, filtering, ordering, and getting it wrong."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tests.contract.catalog_asking import Listing, Question

BY_QUERY = "/entities/by-query"
REF = "fields=kind,metadata.namespace,metadata.name"
REF_FIELDS = '"fields":["kind","metadata.namespace","metadata.name"]'

_JSON = {"Content-Type": "application/json"}


def get(name: str, path: str, **more: Any) -> Question:
    """Return a question by GET."""
    return Question(name=name, path=path, **more)


def post(name: str, path: str, body: str, **more: Any) -> Question:
    """Return a question by POST, with a body of JSON unless other headers say otherwise."""
    return Question(name=name, path=path, method="POST", body=body.encode(), **{"headers": _JSON, **more})


_WHOLE_CATALOG = """
?limit=0
?offset=1000
?limit=100000000&{ref}
?limit=1e2&{ref}
?totalItems=exclude&{ref}
?totalItems=include&{ref}
/?{ref}
?fullTextFilterTerm=type&{ref}
?fullTextFilterTerm=TYPE&fullTextFilterFields=metadata.name&{ref}
?fullTextFilterTerm=e&fullTextFilterFields=metadata.title,metadata.description&{ref}
?fullTextFilterTerm=e&fullTextFilterFields=metadata.title&fullTextFilterFields=metadata.description&{ref}
?fullTextFilterTerm=er&orderField=metadata.name&{ref}
?fullTextFilterTerm=er&fullTextFilterFields=metadata.name&filter=kind=component&{ref}
?fullTextFilterTerm=%25&fullTextFilterFields=metadata.name&{ref}
?fullTextFilterFields=metadata.name&{ref}
?fields=kind&fields=metadata.name
?fields=kind,spec.type&fields=metadata.name
?filter=kind=api,spec.type=openapi&{ref}
?filter=metadata.title=The+editors&{ref}
?filter[]=kind=api&filter[]=kind=user&{ref}
?filter[0]=kind=api&filter[1]=kind=user&{ref}
"""

_PARTS = """
?limit=1&{ref}
?limit=7&{ref}
?limit=%201&{ref}
?offset=15&{ref}
"""

_ORDERED = """
?orderField=metadata.name&{ref}
?orderField=metadata.name,asc&{ref}
?orderField=metadata.name,desc&{ref}
?orderField=metadata.name,asc&limit=4&{ref}
?orderField=metadata.name&offset=17&{ref}
?orderField=metadata.name&offset=3&limit=4&{ref}
?orderField=metadata.title&{ref}
?orderField=spec.nothing&{ref}
?orderField=METADATA.NAME&{ref}
?orderField=metadata.name&filter=kind=component&{ref}
?orderField=metadata.name,desc&orderField=kind,asc&{ref}
"""

_WRONG = """
?limit=-1
?limit=x
?limit=1.5
?limit=
?limit=1&limit=2
?limit=1_0
?offset=-1
?offset=x
?bogus=1
?bogus=1&other=2
?bogus=
?Limit=1
?totalItems=bogus
?totalItems=
?orderField=
?orderField=kind,up
?fields=
?fields=[
?fields=metadata%5B0%5D
?fields=kind,,spec.type
?filter=
?filter==x&{ref}
?filter=kind=&{ref}
?filter=,&{ref}
?cursor=
?cursor=a&cursor=b
?fullTextFilterTerm=
?fullTextFilterTerm=a&fullTextFilterTerm=b
?fullTextFilterFields=
"""


def _listings() -> Iterator[Question]:
    yield get("by-query", BY_QUERY)
    yield get("by-query in capitals", f"/Entities/BY-QUERY?{REF}")
    listings = {
        _WHOLE_CATALOG: Listing.BY_UID,
        _PARTS: Listing.PART_BY_UID,
        _ORDERED: Listing.ORDERED,
        _WRONG: Listing.BY_UID,
    }
    for texts, listing in listings.items():
        for rest in texts.split():
            yield get(f"by-query{rest}", BY_QUERY + rest.replace("{ref}", REF), listing=listing)
    for cursor in ("garbage", "e30%3D", "bnVsbA%3D%3D"):
        yield get(f"by-query?cursor={cursor}", f"{BY_QUERY}?cursor={cursor}", free_wording=True)


_FIELDS = """
kind
metadata
relations
spec
spec.owner,relations
kind,metadata.namespace,metadata.name,metadata.uid,metadata.etag
metadata.annotations.backstage.io/managed-by-location
metadata.labels.atlas.example/tier,metadata.labels.release
metadata.tags,metadata.links
metadata.nothing,spec.nothing.at.all
spec.profile.email,spec.profile
spec.nodes,spec.deep.er
spec.retired,spec.replicas,spec.zones
Kind,METADATA.name
 kind , metadata.name
spec.
status
"""


def _projections() -> Iterator[Question]:
    for fields in _FIELDS.strip("\n").split("\n"):
        yield get(f"fields={fields}", f"{BY_QUERY}?fields={quote(fields, safe=',/')}")


# One query to a line; filters that are given together are parted by a bar.
_FILTERS = """
kind=component
KIND=Component
kind=COMPONENT,spec.type=SERVICE
kind=Unknown
kind=component,kind=api
kind
kind = api
kind=api | kind=user,metadata.name=ada.writer
kind=component | spec.type=service
apiVersion=backstage.io/v1beta1
metadata.name=typesetter
metadata.name=Typesetter
metadata.namespace
metadata.namespace=workshop
metadata.uid
metadata.uid=00000000-0000-0000-0000-000000000000
metadata.etag
metadata.etag=written-by-the-source
metadata.title
metadata.description=Drucker & Buchbinder, außen vor 🖨️
metadata.description=drucker & buchbinder
metadata.labels
metadata.labels.release
metadata.labels.release=Beta
metadata.labels.atlas.example/tier=1
metadata.annotations.atlas.example/runbook=https://wiki.atlas.example/runbook?page=1
metadata.annotations.atlas.example/essay
metadata.annotations.atlas.example/empty=
metadata.annotations.backstage.io/managed-by-location=url:https://git.atlas.example/catalog/blob/main/catalog.yaml
metadata.tags
metadata.tags=java
metadata.tags=java,metadata.tags=python
metadata.tags.java
metadata.tags.java=true
relations
relations.ownedby
relations.ownedBy=group:default/editors
RELATIONS.OWNEDBY=Group:Default/Editors
relations.partOf=system:default/atlas,kind=api
relations.hasMember=user:default/ada.writer
relations.dependsOn=component:default/nobody
spec.type
spec.type=service,spec.type=library,kind=component
spec.owner
spec.profile.email
spec.profile.email=ada.writer@atlas.example
spec.replicas=3
spec.load=0.75
spec.protected=true
spec.retired
spec.retired=null
spec.zones=south
spec.nodes.name=n2
spec.nodes.sizes=2
spec.deep.er.still=yes
spec.links
status
"""


def _filters() -> Iterator[Question]:
    for line in _FILTERS.strip("\n").split("\n"):
        filters = "&".join(f"filter={quote(text, safe='=,')}" for text in line.split(" | "))
        yield get(f"filter={line}", f"{BY_QUERY}?{REF}&{filters}")


_QUERIES = """
{}
{"kind":"component"}
{"KIND":"Component","spec.type":"SERVICE"}
{"spec.replicas":3}
{"spec.protected":true}
{"kind":{"$in":["api","USER"]}}
{"spec.type":{"$exists":true}}
{"spec.type":{"$exists":false}}
{"metadata.name":{"$hasPrefix":"Type"}}
{"metadata.tags":{"$contains":"java"}}
{"relations":{"$contains":{"type":"ownedBy"}}}
{"relations":{"$contains":{"type":"ownedBy","targetRef":"group:default/editors"}}}
{"$all":[]}
{"$all":[{"kind":"component"},{"spec.type":"service"}]}
{"$any":[]}
{"$any":[{"kind":"api"},{"kind":"user"}]}
{"$not":{"kind":"component"}}
{"$not":{"$any":[{"kind":"group"},{"$all":[{"kind":"component"},{"metadata.namespace":"default"}]}]}}
"""

_WRONG_QUERIES = """
{"$all":[{"kind":"api"}],"kind":"api"}
{"kind":{"$bogus":1}}
{"kind":["api"]}
{"kind":null}
{"$bogus":[]}
"""

_BODIES = """
{"limit":0}
{"fields":[],"query":{"kind":"user"}}
{"totalItems":"exclude",{ref}}
{"fullTextFilter":{"term":"er","fields":["metadata.name"]},{ref}}
{"orderBy":[{"field":"metadata.name","order":"desc"}],{ref}}
{"orderBy":[{"field":"metadata.name","order":"desc"}],"limit":3,"offset":2,{ref}}
{"limit":-1}
{"limit":"3"}
{"offset":-1}
{"totalItems":"bogus"}
{"bogus":1,"limit":0}
{"cursor":""}
{"cursor":1}
{"fields":"kind"}
{"fields":[1]}
{"orderBy":{}}
{"orderBy":[{"field":"kind"}]}
{"orderBy":[{"order":"asc"}]}
{"orderBy":[{"field":"kind","order":"up"}]}
{"fullTextFilter":"er"}
{"query":[]}
{"query":"kind=api"}
{"query":null}
[]
"""


def _posted() -> Iterator[Question]:
    part = Listing.PART_BY_UID
    for query in _QUERIES.split():
        yield post(f"post by-query: {query}", BY_QUERY, f'{{"query":{query},{REF_FIELDS}}}')
    for query in _WRONG_QUERIES.split():
        yield post(f"post by-query: {query}", BY_QUERY, f'{{"query":{query}}}', free_wording=True)
    for body in _BODIES.split():
        listing = Listing.ORDERED if "orderBy" in body else Listing.BY_UID
        yield post(f"post by-query: {body}", BY_QUERY, body.replace("{ref}", REF_FIELDS), listing=listing)
    for body in ("{}", '{"limit":3}', '{"limit":1.5}', ""):
        yield post(f"post by-query, a part: {body}", BY_QUERY, body, listing=part)
    yield post("post by-query: a broken cursor", BY_QUERY, '{"cursor":"garbage"}', free_wording=True)
    yield post("post by-query: no JSON", BY_QUERY, "{", free_wording=True)
    yield post("post by-query: no content type", BY_QUERY, '{"limit":0}', headers={}, listing=part)
    yield post("post by-query: plain text", BY_QUERY, '{"limit":0}', headers={"Content-Type": "text/plain"})
    yield post("post by-query: with a parameter", f"{BY_QUERY}?limit=1", '{"limit":0}')


QUERY_QUESTIONS: tuple[Question, ...] = (*_listings(), *_projections(), *_filters(), *_posted())
