"""A visitor of the Backstage stand-in: asks its catalog over a real socket, and takes what comes unjudged."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp

from stageport.model.entities import Json
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage

TOKEN = "a-static-token"
TEAM = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Group",
    "metadata": {"name": "Team"},
    "spec": {"type": "team", "children": []},
}


def component(name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team", **spec},
    }


DESCRIPTORS = [TEAM, *(component(f"c-{number:02}") for number in range(25))]


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        assert self.json["response"] == {"statusCode": self.status}
        return f"{self.json['error']['name']}: {self.json['error']['message']}"


class Visitor:
    """Asks the catalog, as whoever holds the token."""

    def __init__(self, running: RunningBackstage, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.catalog = running.catalog
        self._session = session

    async def ask(
        self, method: str, path: str, *, token: str | None = TOKEN, raw: bytes | None = None, **request: Json
    ) -> Answer:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **request.pop("headers", {})}
        if raw is not None:
            request["data"] = raw
            headers.setdefault("Content-Type", "application/json")
        url = f"{self.running.url}/api/catalog{path}"
        async with self._session.request(method, url, headers=headers, **request) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)

    async def get(self, path: str, **request: Json) -> Answer:
        return await self.ask("GET", path, **request)

    async def post(self, path: str, body: Json, **request: Json) -> Answer:
        return await self.ask("POST", path, json=body, **request)

    async def scan(self, query: str) -> list[str]:
        """Read every page of a query; return the names, in the order in which they came."""
        names: list[str] = []
        path = f"/entities/by-query?{query}"
        while True:
            page = (await self.get(path)).json
            names += [entity["metadata"]["name"] for entity in page["items"]]
            if "nextCursor" not in page["pageInfo"]:
                return names
            kept = "&".join(part for part in query.split("&") if part.startswith(("limit=", "fields=")))
            path = f"/entities/by-query?{kept}&cursor={page['pageInfo']['nextCursor'].replace('+', '%2B')}"


@asynccontextmanager
async def visit(**options: Json) -> AsyncIterator[Visitor]:
    options = {"descriptors": DESCRIPTORS, "token": TOKEN, **options}
    async with serve_backstage(BackstageOptions(**options)) as running, aiohttp.ClientSession() as session:
        yield Visitor(running, session)
