"""A plain HTTP client for the Port stand-in, which also holds every answer against Port's published API.

Where the specification lies next to the checkout, each answer is validated against the schema of its route and
status, and each request that the stand-in took is validated too: taking what the specification refuses is a bug.
"""

import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator

from stageport.sandbox.port import Behaviour, Leniency, PortOptions, PortState, RunningPort, serve_port

SPECIFICATION = Path(__file__).parents[2] / ".." / "shared" / "reference" / "port-openapi.json"
DATASOURCE = "port-ocean/backstage/0.1.0/my-backstage/exporter"
WRITE = {"upsert": "true", "merge": "true", "create_missing_related_entities": "true", "validation_only": "false"}
STRICT_WRITE = {**WRITE, "create_missing_related_entities": "false"}


@dataclass
class Reply:
    """One answer: its status, its headers, and its decoded body."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> str | None:
        return self.body.get("error")


@dataclass
class Rig:
    """A stand-in with a client that has a token."""

    running: RunningPort
    session: aiohttp.ClientSession
    held_to_specification: bool = True
    token: str = ""
    user_agent: str = DATASOURCE
    now: list[float] = field(default_factory=lambda: [1_700_000_000.0])

    @property
    def state(self) -> PortState:
        return self.running.state

    def pass_time(self, seconds: float) -> None:
        self.now[0] += seconds

    async def sign_in(self) -> Reply:
        options = self.state.options
        reply = await self.call(
            "POST", "/v1/auth/access_token", {"clientId": options.client_id, "clientSecret": options.client_secret}
        )
        self.token = reply.body["accessToken"]
        return reply

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Any = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        sent = {"User-Agent": self.user_agent, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        if data is not None:
            sent["Content-Type"] = "application/json"
        url = self.running.url + path
        sent |= headers or {}
        stream = io.BytesIO(data) if data else None
        async with self.session.request(method, url, data=stream, params=query, headers=sent) as answer:
            text = await answer.read()
            reply = Reply(answer.status, answer.headers, json.loads(text) if text else None)
        assert self.state.journal.crashes == []
        if self.held_to_specification:
            check_exchange(method, path.partition("?")[0], body, reply)
        return reply

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        reply = await self.call(method, path, body, **more)
        assert reply.status < 300, (reply.status, reply.body)
        return reply.body

    async def blueprint(self, identifier: str = "component", **document: Any) -> Any:
        """Create a blueprint with some properties and relations."""
        properties = document.pop("properties", {})
        required = document.pop("required", [])
        relations = {
            name: {"many": False, "required": False, **relation}
            for name, relation in document.pop("relations", {}).items()
        }
        whole = {
            "identifier": identifier,
            "title": identifier,
            "schema": {"properties": properties, "required": required},
            "relations": relations,
            **document,
        }
        return (await self.ok("POST", "/v1/blueprints", whole))["blueprint"]

    async def write(self, entity: Any, *, blueprint: str = "component", query: Any = None) -> Reply:
        return await self.call("POST", f"/v1/blueprints/{blueprint}/entities", entity, query=query or WRITE)

    async def bulk(self, entities: list[Any], *, blueprint: str = "component", query: Any = None) -> Reply:
        path = f"/v1/blueprints/{blueprint}/entities/bulk"
        return await self.call("POST", path, {"entities": entities}, query=query or WRITE)

    async def get(self, identifier: str, *, blueprint: str = "component") -> Any:
        return (await self.ok("GET", f"/v1/blueprints/{blueprint}/entities/{identifier}"))["entity"]


@asynccontextmanager
async def open_rig(
    *,
    leniency: Leniency | None = None,
    behaviour: Behaviour | None = None,
    held_to_specification: bool = True,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Run a stand-in under a clock of its own, and sign in."""
    now = [1_700_000_000.0]
    port = PortOptions(
        leniency=leniency or Leniency(), behaviour=behaviour or Behaviour(), clock=lambda: now[0], **options
    )
    async with serve_port(port) as running, aiohttp.ClientSession() as session:
        rig = Rig(running, session, held_to_specification=held_to_specification, now=now)
        await rig.sign_in()
        yield rig


@cache
def _specification() -> dict[str, Any] | None:
    if not SPECIFICATION.exists():
        return None
    # Python's engine has no \p{L}; Latin-1 letters and everything above is near enough for what tests send.
    return json.loads(SPECIFICATION.read_text("utf-8").replace("\\\\p{L}", "A-Za-z\u00c0-\uffff"))


@cache
def _operations() -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
    document = _specification() or {"paths": {}}
    found = []
    for template, operations in document["paths"].items():
        # Routes without parameters first: they win over those whose parameter would take their last part.
        pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template)))
        found += [(pattern, method.upper(), operation) for method, operation in operations.items() if template != "/"]
    return sorted(found, key=lambda one: one[0].pattern.count("[^/]+"))


@cache
def _validator(text: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(text), "components": (_specification() or {})["components"]})


def _complaints(schema: dict[str, Any], value: Any) -> list[str]:
    return [error.message for error in _validator(json.dumps(schema)).iter_errors(value)]


def find_operation(method: str, path: str) -> dict[str, Any] | None:
    return next((one for pattern, verb, one in _operations() if verb == method and pattern.fullmatch(path)), None)


def check_exchange(method: str, path: str, body: Any, reply: Reply) -> None:
    """Hold one exchange against the specification, where it is at hand and knows the route."""
    operation = find_operation(method, path)
    if operation is None:
        return
    answer = operation["responses"].get(str(reply.status))
    if answer is not None and "$ref" in answer:
        answer = (_specification() or {})["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if answer is not None and "content" in answer:
        schema = answer["content"]["application/json"]["schema"]
        assert _complaints(schema, reply.body) == [], (method, path, reply.body)
    if reply.status < 300 and body is not None and "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert _complaints(schema, body) == [], f"{method} {path} took what the specification refuses: {body}"
