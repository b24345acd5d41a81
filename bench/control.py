"""The routes by which the benchmark drives a stand-in from outside: counts, content, changes."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import msgspec
from aiohttp import web

from bench.traffic import Traffic
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.server import RunningBackstage
from stageport.sandbox.port import RunningPort
from stageport.sandbox.port.projection import Fields

SETTLE_SECONDS = 5.0
LINES_AT_ONCE = 200
encode = msgspec.json.encode


def answer(payload: object) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=encode(payload), content_type="application/json")


async def stream_lines(request: web.Request, lines: Iterable[bytes]) -> web.StreamResponse:
    """Answer with one JSON value a line, without ever holding them all."""
    response = web.StreamResponse()
    await response.prepare(request)
    iterator = iter(lines)
    while chunk := list(islice(iterator, LINES_AT_ONCE)):
        await response.write(b"\n".join(chunk) + b"\n")
    await response.write_eof()
    return response


def traffic_routes(traffic: Traffic) -> web.RouteTableDef:
    """Return the routes about what went over the wire."""
    routes = web.RouteTableDef()

    @routes.get("/traffic")
    async def show(_request: web.Request) -> web.Response:
        """Tell the counts, once every connection has ended: what was sent is known only then."""
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while traffic.open and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - nobody signals a count
            await asyncio.sleep(0.005)
        return answer(traffic)

    @routes.post("/traffic/forget")
    async def forget(_request: web.Request) -> web.Response:
        traffic.forget()
        return answer({})

    return routes


# Backstage


class Upheaval:
    """Changes a share of a catalog and deletes another, and can take it all back."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._before: dict[str, bytes] = {}

    def change(self, *, every: int, turn: int) -> dict[str, int]:
        """Edit the title of each ``every``-th entity and delete as many others; tell how many bodies differ now.

        More entities differ than were edited: who loses a peer loses the relations that this one declared.
        """
        before = _bodies(self._catalog)
        refs = [entity.ref for entity in self._catalog if entity.kind != "Location"]
        edited = refs[turn % every :: every]
        deleted = refs[(turn + every // 2) % every :: every]
        for ref in (*edited, *deleted):
            self._before.setdefault(ref, encode(self._catalog.descriptor(ref)))
        for ref in edited:
            self._catalog.update(ref, lambda one: one["metadata"].update(title=f"{one['metadata']['name']} {turn}"))
        for ref in deleted:
            self._catalog.delete(ref)
        after = _bodies(self._catalog)
        touched = sum(1 for ref, body in after.items() if body != before.get(ref))
        return {"edited": len(edited), "deleted": len(deleted), "touched": touched}

    def restore(self) -> None:
        """Take every change back; what was deleted gets a new uid."""
        for body in self._before.values():
            self._catalog.put(msgspec.json.decode(body))
        self._before.clear()


def _bodies(catalog: Catalog) -> dict[str, bytes]:
    return {entity.ref: entity.body for entity in catalog}


def backstage_routes(running: RunningBackstage) -> web.RouteTableDef:
    """Return the routes that drive a Backstage stand-in."""
    routes = web.RouteTableDef()
    upheaval = Upheaval(running.catalog)

    @routes.get("/entities")
    async def entities(request: web.Request) -> web.StreamResponse:
        few = int(request.query.get("first", len(running.catalog)))
        return await stream_lines(request, [entity.body for entity in islice(running.catalog, few)])

    @routes.get("/requests")
    async def requests(_request: web.Request) -> web.Response:
        counts = Counter(one.partition("?")[0] for one in running.requests)
        return answer({"routes": counts, "statuses": {}})

    @routes.post("/forget")
    async def forget(_request: web.Request) -> web.Response:
        running.requests.clear()
        return answer({})

    @routes.post("/change")
    async def change(request: web.Request) -> web.Response:
        asked = await request.json()
        return answer(upheaval.change(every=asked["every"], turn=asked["turn"]))

    @routes.post("/restore")
    async def restore(_request: web.Request) -> web.Response:
        upheaval.restore()
        return answer({})

    return routes


# Port


def port_routes(running: RunningPort) -> web.RouteTableDef:
    """Return the routes that drive a Port stand-in."""
    routes = web.RouteTableDef()
    state = running.state

    @routes.get("/entities")
    async def entities(request: web.Request) -> web.StreamResponse:
        return await stream_lines(request, _held(running))

    @routes.get("/requests")
    async def requests(_request: web.Request) -> web.Response:
        journal = state.journal
        statuses = {str(status): count for status, count in journal.statuses.items()}
        return answer({"routes": journal.routes, "statuses": statuses, "entities": journal.entities})

    @routes.post("/forget")
    async def forget(_request: web.Request) -> web.Response:
        state.journal.clear()
        return answer({})

    @routes.post("/reset")
    async def reset(_request: web.Request) -> web.Response:
        state.reset()
        return answer({})

    @routes.post("/empty")
    async def empty(_request: web.Request) -> web.Response:
        """Drop all entities, and keep blueprints, integration and mapping."""
        for blueprint in state.blueprints():
            for entity in list(state.store.entities(blueprint)):
                state.store.drop_entity(entity.key)
        return answer({})

    @routes.post("/retitle")
    async def retitle(request: web.Request) -> web.Response:
        """Edit the mapping as a person would, so that every target entity gets another title."""
        asked = await request.json()
        config = state.integrations.get(asked["integration"])["config"]
        for resource in config["resources"]:
            resource["port"]["entity"]["mappings"]["title"] = asked["title"]
        state.integrations.patch(asked["integration"], {"config": config}, skip_resync=True)
        return answer({})

    return routes


def _held(running: RunningPort) -> Iterable[bytes]:
    """Yield every entity but those of Port's own blueprints, as Port shows it."""
    projector = running.state.projector(Fields())
    for blueprint in running.state.blueprints():
        if not blueprint.startswith("_"):
            yield from (encode(projector.show(entity)) for entity in running.state.store.entities(blueprint))
