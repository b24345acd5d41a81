import pytest

from stageport.backstage.filters import filter_predicate, filter_query, kind_filters
from stageport.model.entities import Json
from stageport.model.errors import MappingError


def test_a_kind_alone() -> None:
    assert kind_filters("Fleet", []) == ["kind=Fleet"]
    assert kind_filters("Fleet", ["", " , "]) == ["kind=Fleet"]


def test_each_alternative_narrows_the_kind() -> None:
    assert kind_filters("api", ["spec.type=grpc", " spec.type=openapi,metadata.namespace=a "]) == [
        "kind=api,spec.type=grpc",
        "kind=api,spec.type=openapi,metadata.namespace=a",
    ]


@pytest.mark.parametrize("kind", ["", "a,b", "a=b", "no kind", "1st", "compönent"])
def test_what_is_no_kind_is_refused(kind: str) -> None:
    with pytest.raises(MappingError):
        kind_filters(kind, [])


@pytest.mark.parametrize("text", ["kind=api", "spec.type=x, KIND=api", "a=b,,c=d", "=x"])
def test_filters_that_would_read_something_else_are_refused(text: str) -> None:
    with pytest.raises(MappingError):
        kind_filters("component", [text])


def test_the_query_string_is_encoded() -> None:
    assert filter_query(["kind=a,metadata.annotations.x/y=ü &", "kind=b"]) == (
        "filter=kind%3Da%2Cmetadata.annotations.x/y%3D%C3%BC%20%26&filter=kind%3Db"
    )


@pytest.mark.parametrize(
    ("alternatives", "predicate"),
    [
        (["kind=a"], {"$all": [{"kind": "a"}]}),
        (["kind=a,x=1,x=2"], {"$all": [{"kind": "a"}, {"x": {"$in": ["1", "2"]}}]}),
        (["kind=a,x"], {"$all": [{"kind": "a"}, {"x": {"$exists": True}}]}),
        (["kind=a", "kind=a,b=c=d"], {"$any": [{"$all": [{"kind": "a"}]}, {"$all": [{"kind": "a"}, {"b": "c=d"}]}]}),
    ],
)
def test_the_same_as_a_predicate(alternatives: list[str], predicate: Json) -> None:
    assert filter_predicate(alternatives) == predicate
