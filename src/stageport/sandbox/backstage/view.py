"""One catalog as its routes see it: what they read, and how they answer with lists of entities."""

from collections.abc import Iterable, Sequence

from aiohttp import web

from stageport.sandbox.backstage.answers import broken_answer, json_answer, stream_answer
from stageport.sandbox.backstage.catalog import Catalog, FinalEntity
from stageport.sandbox.backstage.projection import Projections
from stageport.sandbox.backstage.queries import EntitiesReader
from stageport.sandbox.backstage.traps import Traps

Fields = tuple[str, ...]
MOUNT = "/api/catalog"


class CatalogView:
    """A catalog, read in the ways of its API."""

    def __init__(self, catalog: Catalog, *, traps: Traps) -> None:
        self.catalog = catalog
        self.reader = EntitiesReader(catalog)
        self.traps = traps
        self._projections = Projections()
        self._pages = 0

    def turn_page(self) -> None:
        """Take note that a page is about to be read, and let the trap for that spring."""
        self._pages += 1
        if self.traps.before_page is not None:
            self.traps.before_page(self._pages)

    def encoded(self, entities: Iterable[FinalEntity | None], fields: Fields) -> list[bytes]:
        """Return entities as JSON, projected where fields are named; null where there is none."""
        project = self._projections.encoded
        return [b"null" if entity is None else project(entity, fields) for entity in entities]

    def answer_list(
        self, request: web.Request, bodies: Sequence[bytes], fields: Fields, *, head: bytes = b"", tail: bytes = b""
    ) -> web.Response:
        """Answer with a list: whole entities are streamed as they are stored, projected ones are one document."""
        if self.traps.broken_json:
            return broken_answer(head + b"[" + b",".join(bodies))
        if fields:
            return json_answer(request, head + b"[" + b",".join(bodies) + b"]" + tail)
        return stream_answer(request, bodies, head=head, tail=tail)


def routed_url(request: web.Request) -> str:
    """Return the URL of a request as the catalog's own router sees it: without the path it is mounted at."""
    return request.raw_path.removeprefix(MOUNT) or "/"
