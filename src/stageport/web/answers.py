"""What the server answers: JSON for programs, a page for people, text for Prometheus."""

from http import HTTPStatus

import msgspec
from aiohttp import web

from stageport.model.entities import Json

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "stageport"}
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def json_answer(document: Json, *, status: int = 200) -> web.Response:
    """Answer with JSON."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=HEADERS)


def problem_answer(status: int, message: str = "") -> web.Response:
    """Say what is wrong, in words."""
    return json_answer({"ok": False, "error": message or HTTPStatus(status).phrase}, status=status)


def health_answer(check: str, *, version: str, ok: bool, reason: str = "") -> web.Response:
    """Answer a probe in the shape that Ocean's probes have; 503 takes the place of its unconditional 200."""
    document = {"status": "healthy" if ok else "unhealthy", "check": check, "core_version": version}
    if reason:
        document["reason"] = reason
    return json_answer(document, status=200 if ok else 503)


def page_answer(page: str) -> web.Response:
    """Answer with a page that loads and runs nothing."""
    headers = {**HEADERS, "Content-Security-Policy": PAGE_POLICY}
    return web.Response(text=page, content_type="text/html", headers=headers)


def redirect_answer(location: str) -> web.Response:
    """Lead to another address."""
    return web.Response(status=302, headers={**HEADERS, "Location": location})


def text_answer(body: bytes, *, content_type: str) -> web.Response:
    """Answer with a body of a type that is told whole, charset included."""
    return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})
