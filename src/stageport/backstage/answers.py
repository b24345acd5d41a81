"""Reads the catalog's answers: pages sliced without parsing them, and errors turned into words."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from stageport.http.messages import Response
from stageport.model.entities import SourceEntity
from stageport.model.errors import SourceAnswerError, SourceError, SourceRefusedError, excerpt
from stageport.model.refs import SourceRef, source_ref

T = TypeVar("T")

FRONTEND_HINT: Final = (
    "Is this the address of the frontend? Set the URL of the backend, the one that answers /api/catalog "
    "(port 7007 unless configured otherwise), as Stageport's machine sees it, past any login page."
)


class MalformedBodyError(Exception):
    """A successful answer whose JSON breaks off or is none: worth another try."""


class _PageInfo(msgspec.Struct, rename="camel"):
    next_cursor: str | None = None


class QueryPage(msgspec.Struct, rename="camel"):
    """An answer to ``by-query``; the items stay raw."""

    items: list[msgspec.Raw]
    total_items: int
    page_info: _PageInfo = msgspec.field(default_factory=_PageInfo)

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page, None at the end."""
        return self.page_info.next_cursor or None


class _RefsAnswer(msgspec.Struct):
    items: list[msgspec.Raw]


class FacetCount(msgspec.Struct):
    """How many entities have a value."""

    value: str
    count: int


class Facets(msgspec.Struct):
    """An answer to ``entity-facets``."""

    facets: dict[str, list[FacetCount]]


class _Metadata(msgspec.Struct):
    name: str
    namespace: str | None = None
    uid: str | None = None
    etag: str | None = None


class _Head(msgspec.Struct):
    kind: str
    metadata: _Metadata


class _Problem(msgspec.Struct):
    name: str = ""
    message: str = ""


class _Complaint(msgspec.Struct):
    error: _Problem


_pages = msgspec.json.Decoder(QueryPage)
_refs = msgspec.json.Decoder(_RefsAnswer)
_facets = msgspec.json.Decoder(Facets)
_named = msgspec.json.Decoder(msgspec.Raw)
_heads = msgspec.json.Decoder(_Head)
_complaints = msgspec.json.Decoder(_Complaint)


def read_page(response: Response) -> QueryPage:
    """Read an answer to ``by-query``."""
    return _decode(_pages, response)


def read_items(response: Response) -> list[msgspec.Raw]:
    """Read an answer to ``by-refs``: as many items as refs were asked for, ``null`` for those that do not exist."""
    return _decode(_refs, response).items


def read_named(response: Response) -> SourceEntity:
    """Read an answer to ``by-name``."""
    return read_entity(bytes(_decode(_named, response)))


def read_facets(response: Response) -> Facets:
    """Read an answer to ``entity-facets``."""
    return _decode(_facets, response)


def read_entities(items: Sequence[msgspec.Raw]) -> list[SourceEntity]:
    """Cut the name of each entity out of its bytes."""
    return [read_entity(bytes(item)) for item in items]


def read_entity(raw: bytes) -> SourceEntity:
    """Cut the name of an entity out of its bytes.

    Raises:
        SourceAnswerError: it has no kind or no name.
    """
    try:
        head = _heads.decode(raw)
    except msgspec.DecodeError as error:
        raise SourceAnswerError(
            f"Backstage served something that is no entity ({error}): {excerpt(raw)}", hint=FRONTEND_HINT
        ) from error
    metadata = head.metadata
    return SourceEntity(_ref(head), raw, metadata.uid or "", metadata.etag or "")


def is_starting(response: Response) -> bool:
    """Say whether this is how a backend answers before its catalog is ready.

    Observed: 404 with an empty body while plugins load (unlike "no such entity", which is JSON), then 503 "Service
    has not started up yet" (its lifecycle module).
    """
    if response.status == 404:
        return not response.body.strip()
    return response.status == 503 and b"not started" in response.body


def is_answered(response: Response) -> bool:
    """Say whether trying again would bring the same: the backend is starting, or the token is an expired one."""
    return is_starting(response) or (response.status == 500 and b"JWTExpired" in response.body)


def explain_refusal(response: Response, *, url: str, with_token: bool) -> SourceError:
    """Turn an error answer into an error for people."""
    words = f"Backstage answered {response.status} at {url}{_complaint(response)}"
    if response.status in (401, 403) or b"JWTExpired" in response.body:
        return SourceRefusedError(words, hint=_refused_hint(response, with_token=with_token))
    return SourceAnswerError(words, hint=_answer_hint(response))


def _ref(head: _Head) -> SourceRef:
    return source_ref(head.kind, head.metadata.namespace, head.metadata.name)


_ESCAPES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""Escapes in JSON; the group is half of a character. JavaScript cuts text where it likes, and writes the half."""


def _whole(body: bytes) -> bytes:
    """Return JSON in which the halves of characters are replaced, as everybody but JavaScript does."""
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def _decode(decoder: msgspec.json.Decoder[T], response: Response) -> T:
    try:
        try:
            return decoder.decode(response.body)
        except msgspec.DecodeError:
            whole = _whole(response.body)
            if whole == response.body:
                raise
            return decoder.decode(whole)
    except msgspec.ValidationError as error:
        raise SourceAnswerError(
            f"Backstage answered JSON of another shape ({error}): {excerpt(response.body)}",
            hint="Does the URL lead to a Backstage backend with catalog-backend 1.8 or later?",
        ) from error
    except msgspec.DecodeError as error:
        if _is_page_for_people(response):
            raise SourceAnswerError(
                f"Backstage answered {response.media_type or 'no JSON'}: {excerpt(response.body, limit=80)}",
                hint=FRONTEND_HINT,
            ) from error
        raise MalformedBodyError(str(error)) from error


def _is_page_for_people(response: Response) -> bool:
    return response.media_type == "text/html" or response.body.lstrip()[:1] == b"<"


def _complaint(response: Response) -> str:
    """Quote what Backstage says of an error: its own error body, else a bit of whatever came."""
    try:
        problem = _complaints.decode(response.body).error
    except msgspec.DecodeError:
        text = "" if _is_page_for_people(response) else excerpt(response.body, limit=120)
        return f": {text}" if text else ""
    return f": {problem.name or 'error'}: {excerpt(problem.message)}"


def _refused_hint(response: Response, *, with_token: bool) -> str:
    if response.status == 500:
        return "The Backstage token is a JWT that has expired. Use a static token (backend.auth.externalAccess)."
    if response.status == 403:
        return (
            "The Backstage token is known but restricted. Add the plugin 'catalog' to its accessRestrictions in "
            "backend.auth.externalAccess, with the permission catalog.entity.read if permissions are listed."
        )
    if with_token:
        return (
            "Backstage does not know this token. Compare it with backend.auth.externalAccess (type: static) in the "
            "backend's app-config; it is compared character by character."
        )
    return "This Backstage wants a token: create a static one in backend.auth.externalAccess and set BACKSTAGE_TOKEN."


def _answer_hint(response: Response) -> str:
    if 300 <= response.status < 400:
        target = response.headers.get("Location", "another address").partition("?")[0]
        return f"It redirects to {target}. Set the URL that answers by itself; a login page cannot be passed."
    match response.status:
        case 400:
            return "Backstage does not understand the request; a filter of the mapping may be wrong."
        case 404:
            return f"There is no catalog at this address. {FRONTEND_HINT}"
        case 429:
            return "Backstage limits requests (backend.rateLimit). Raise the limit or allow this machine's address."
        case 413 | 414 | 431:
            return "The request is too long. Use fewer or shorter filters in the mapping's selectors."
        case _:
            return "See the log of the Backstage backend for the reason, then run again."
