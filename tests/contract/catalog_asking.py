"""Asking a Backstage catalog a question over HTTP, and writing its answer down so that two can be compared.

What must differ between two catalogs of the same content (uids, etags, and with them the order of a list that
nobody ordered) is replaced or put in order; everything else is kept, down to the order of keys.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from stageport.sandbox.backstage.descriptors import located, read_descriptors

MOUNT = "/api/catalog"
CATALOG_FILE = Path(__file__).parent / "catalog.yaml"
CUSTOM_KINDS = ("Environment", "AiResource")

_LOCATION = "url:https://git.atlas.example/catalog/blob/main/catalog.yaml"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Bearer(Enum):
    """Whose token goes with a question."""

    FULL = "full"
    DENIED = "denied"
    RESTRICTED = "restricted"
    UNKNOWN = "unknown"
    NOBODY = "nobody"


class Listing(Enum):
    """What the order of a list in the answer means: it was asked for, it depends on uids, or even its content does."""

    ORDERED = "ordered"
    BY_UID = "by uid"
    PART_BY_UID = "part by uid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request; ``path`` is below the mount unless it starts with two slashes, and is sent as it stands.

    ``free_wording``: the message of the error is that of a library of JavaScript; how it starts is enough.
    """

    name: str
    path: str
    method: str = "GET"
    body: bytes | None = None
    bearer: Bearer = Bearer.FULL
    headers: Mapping[str, str] = field(default_factory=dict)
    listing: Listing = Listing.BY_UID
    free_wording: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A catalog that can be asked: where it is, and the tokens that it knows."""

    url: str
    tokens: Mapping[Bearer, str]

    async def answer(self, question: Question) -> dict[str, Any]:
        """Ask, and return the answer written down."""
        headers = {"Accept-Encoding": "identity", **self._authorization(question), **question.headers}
        path = question.path[1:] if question.path.startswith("//") else MOUNT + question.path
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Content-Type"], auto_decompress=False) as session,
            session.request(
                question.method, URL(self.url + path, encoded=True), data=question.body, headers=headers
            ) as response,
        ):
            return _written_down(question, response, await response.read())

    async def json(self, path: str, *, method: str = "GET", body: Any = None, bearer: Bearer = Bearer.FULL) -> Any:
        """Ask a plain question and return the JSON of a good answer as it is."""
        question = Question(name="", path="", bearer=bearer)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, URL(self.url + MOUNT + path, encoded=True), json=body, headers=self._authorization(question)
            ) as response,
        ):
            assert response.status == 200, await response.text()
            return await response.json()

    def _authorization(self, question: Question) -> dict[str, str]:
        if question.bearer is Bearer.NOBODY:
            return {}
        return {"Authorization": f"Bearer {self.tokens.get(question.bearer, 'nobody-knows-this-token')}"}


def contract_descriptors() -> list[dict[str, Any]]:
    """Return the descriptors that the questions are about, each with the same location."""
    text = CATALOG_FILE.read_text("utf-8")
    return [located(entity, location=_LOCATION) for entity in read_descriptors(text, origin=CATALOG_FILE.name)]


def without_identity(value: Any) -> Any:
    """Return a value with uids, computed etags and cursors replaced by what they stand for."""
    match value:
        case dict():
            return {key: _member(key, member) for key, member in value.items()}
        case list():
            return [without_identity(item) for item in value]
        case str():
            return _UUID.sub("<uid>", value)
        case _:
            return value


def ref_of(entity: Mapping[str, Any]) -> str:
    """Return the ref of an entity; of a projected one, what is left of it."""
    metadata = entity.get("metadata", {})
    return f"{entity.get('kind')}:{metadata.get('namespace', 'default')}/{metadata.get('name')}".lower()


def _member(key: str, value: Any) -> Any:
    if key == "etag" and isinstance(value, str) and _SHA1.fullmatch(value):
        return "<sha1>"
    if key in ("nextCursor", "prevCursor"):
        return without_identity(json.loads(base64.b64decode(value)))
    return without_identity(value)


def _written_down(question: Question, response: aiohttp.ClientResponse, body: bytes) -> dict[str, Any]:
    headers = response.headers
    answer = {
        "status": response.status,
        "content-type": headers.get("Content-Type"),
        "content-encoding": headers.get("Content-Encoding"),
        "chunked": bool(body) and headers.get("Transfer-Encoding") == "chunked",
        "etag": headers["ETag"][:3] if "ETag" in headers else None,
        "link": headers.get("Link"),
        "body": _body(question, response, body),
    }
    return {name: value for name, value in answer.items() if value not in (None, False)}


def _body(question: Question, response: aiohttp.ClientResponse, body: bytes) -> Any:
    if "Content-Encoding" in response.headers:
        return "compressed"
    if not response.headers.get("Content-Type", "").startswith("application/json"):
        return body.decode()
    if not body:
        return ""
    document = _in_order(question.listing, without_identity(json.loads(body)))
    return _with_shortened_message(document) if question.free_wording else document


def _with_shortened_message(document: Any) -> Any:
    start, colon, _ = document["error"]["message"].partition(": ")
    return {**document, "error": {**document["error"], "message": f"{start}: …" if colon else "…"}}


def _in_order(listing: Listing, document: Any) -> Any:
    """Take chance out of the list in an answer: sorted by its JSON, or only counted."""
    if isinstance(document, list):
        return _list_in_order(listing, document)
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        return {**document, "items": _list_in_order(listing, document["items"])}
    return document


def _list_in_order(listing: Listing, items: list[Any]) -> Any:
    match listing:
        case Listing.ORDERED:
            return items
        case Listing.BY_UID:
            return sorted(items, key=json.dumps)
        case Listing.PART_BY_UID:
            return f"{len(items)} of them"
