"""The event bus of ``@backstage/plugin-events-backend``, as its store in memory does it: for one reader at a time.

What is published without a subscriber is dropped, what was handed out is gone, and nobody gets more than ten events at
once.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from stageport.sandbox.backstage.access import Access, Gate
from stageport.sandbox.backstage.answers import (
    ApiError,
    InputError,
    NotAllowedError,
    NotFoundError,
    empty_answer,
    error_answer,
    json_answer,
)

BUS = "/api/events/bus/v1"
MOST_EVENTS = 10


@dataclass(slots=True)
class _Subscription:
    topics: frozenset[str]
    waiting: list[dict[str, Any]] = field(default_factory=list)
    there: asyncio.Event = field(default_factory=asyncio.Event)


class EventBus:
    """Subscriptions and what waits for each; ``notify_seconds`` is how long a reader is kept when nothing does."""

    def __init__(self, gate: Gate, *, notify_seconds: float = 55.0) -> None:
        self._gate = gate
        self._notify_seconds = notify_seconds
        self.subscriptions: dict[str, _Subscription] = {}

    def publish(self, topic: str, payload: Any) -> bool:
        """Hand an event to those who subscribed to its topic; False when nobody did."""
        found = [one for one in self.subscriptions.values() if topic in one.topics]
        for subscription in found:
            subscription.waiting.append({"topic": topic, "payload": payload})
            subscription.there.set()
        return bool(found)

    def add_to(self, app: web.Application) -> None:
        """Put the routes in place; readers are let go when the application ends."""
        app.on_shutdown.append(self._let_go)
        router = app.router
        router.add_put(f"{BUS}/subscriptions/{{id}}", self._guarded(self._subscribe))
        router.add_get(f"{BUS}/subscriptions/{{id}}/events", self._guarded(self._read))
        router.add_post(f"{BUS}/events", self._guarded(self._publish))

    async def _let_go(self, _app: web.Application) -> None:
        for subscription in self.subscriptions.values():
            subscription.there.set()

    def _guarded(self, answer: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                # A token of another plugin may not read this one either.
                if self._gate.enter(request.headers.get("Authorization")) is Access.READ_ONLY:
                    raise NotAllowedError("This token's access is restricted to plugin(s) 'catalog'")
                found: web.StreamResponse = await answer(request)
            except ApiError as error:
                return error_answer(request, error, url=request.raw_path)
            return found

        return handle

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        topics = await _field(request, "topics")
        if not isinstance(topics, list) or not topics:
            raise InputError("topics must not be empty")
        known = self.subscriptions.get(request.match_info["id"])
        waiting = known.waiting if known else []
        self.subscriptions[request.match_info["id"]] = _Subscription(frozenset(map(str, topics)), waiting)
        return empty_answer(201)

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        event = await _field(request, "event")
        return empty_answer(201 if self.publish(str(event["topic"]), event.get("payload")) else 204)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["id"]
        subscription = self.subscriptions.get(name)
        if subscription is None:
            raise NotFoundError(f"Subscription with ID {name} not found")
        if subscription.waiting:
            taken, subscription.waiting = subscription.waiting[:MOST_EVENTS], subscription.waiting[MOST_EVENTS:]
            return json_answer(request, json.dumps({"events": taken}).encode())
        return await self._wait(request, subscription)

    async def _wait(self, request: web.Request, subscription: _Subscription) -> web.StreamResponse:
        """Answer 202 at once, and end the answer when something comes, or nothing did for long enough."""
        answer = web.StreamResponse(status=202)
        answer.headers["backstage-events-notify-timeout"] = str(int(self._notify_seconds * 1000))
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        subscription.there.clear()
        try:
            async with asyncio.timeout(self._notify_seconds):
                await subscription.there.wait()
        except TimeoutError:
            pass
        await answer.write_eof()
        return answer


async def _field(request: web.Request, name: str) -> Any:
    try:
        return (await request.json())[name]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{name} is required") from error
