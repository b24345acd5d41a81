"""A Port that answers what a test scripts, behind a token that works like Port's."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.scripted import Answer, Client, ScriptedServer, Seen, as_json, client, scripted

from stageport.port.blueprints import PortBlueprints
from stageport.port.entities import PortCatalog
from stageport.port.identity import IntegrationIdentity
from stageport.port.integration import PortIntegration
from stageport.port.session import PortSession

IDENTITY = IntegrationIdentity(type="backstage", version="1.2.3", identifier="my-backstage")
SECRET = "the-client-secret"

Route = Callable[[Seen], Answer] | Answer


def complain(status: int, error: str, message: str = "because", **headers: str) -> Answer:
    return as_json({"ok": False, "error": error, "message": message}, status, **headers)


def bulk(seen: Seen) -> Sequence[Any]:
    return list(seen.json["entities"])


def taken(*indexes: int, created: bool = False) -> list[dict[str, Any]]:
    return [{"identifier": f"e{index}", "index": index, "created": created} for index in indexes]


def refused(index: int, status: int, error: str, identifier: str = "x") -> dict[str, Any]:
    return {"identifier": identifier, "index": index, "statusCode": status, "error": error, "message": "because"}


def take_all(seen: Seen) -> Answer:
    return as_json({"ok": True, "entities": taken(*range(len(bulk(seen)))), "errors": []})


@dataclass
class ScriptedPort:
    """Routes by ``METHOD path`` (without the query); what is not there is answered as unrouted."""

    routes: dict[str, Route] = field(default_factory=dict)
    expires_in: float = 10_800
    tokens: int = 0
    accepted: str | None = None
    seen: list[Seen] = field(default_factory=list)

    def __call__(self, seen: Seen) -> Answer:
        if seen.path == "/v1/auth/access_token":
            return self._give_token(seen)
        self.seen.append(seen)
        if self.accepted is not None and seen.headers.get("authorization") != f"Bearer {self.accepted}":
            return complain(401, "unauthorized")
        route = self.routes.get(f"{seen.method} {seen.path}", Answer(404, b'{"message":"Route not found"}'))
        return route if isinstance(route, Answer) else route(seen)

    def _give_token(self, seen: Seen) -> Answer:
        if seen.json != {"clientId": "the-client", "clientSecret": SECRET}:
            return complain(401, "invalid_credentials", "wrong credentials")
        self.tokens += 1
        self.accepted = f"token-{self.tokens}"
        return as_json({"ok": True, "accessToken": self.accepted, "expiresIn": self.expires_in, "tokenType": "Bearer"})

    def calls(self, start: str) -> list[Seen]:
        return [seen for seen in self.seen if f"{seen.method} {seen.path}".startswith(start)]


@dataclass
class Port:
    """A scripted Port and the clients of it."""

    script: ScriptedPort
    server: ScriptedServer
    client: Client
    session: PortSession

    @property
    def catalog(self) -> PortCatalog:
        return PortCatalog(self.session)

    @property
    def blueprints(self) -> PortBlueprints:
        return PortBlueprints(self.session)

    def integration(self, **options: Any) -> PortIntegration:
        return PortIntegration(self.session, **options)


@asynccontextmanager
async def scripted_port(
    routes: dict[str, Route] | None = None, *, secret: str = SECRET, base: str = "", **options: Any
) -> AsyncIterator[Port]:
    script = ScriptedPort(routes or {})
    async with scripted(script) as server, client(side="Port", **options) as one:
        session = PortSession(
            server.url + base, client_id="the-client", client_secret=secret, identity=IDENTITY, sender=one.sender
        )
        yield Port(script, server, one, session)


def body(identifier: str, *, size: int = 0) -> bytes:
    return json.dumps({"identifier": identifier, "properties": {"text": "x" * size}}).encode()
