"""Deletes target entities in bulk, and makes sure of each: gone, or kept by Port for a reason that it gives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from stageport.http.messages import Response
from stageport.model.changes import WriteOptions, Written
from stageport.port.answers import (
    BLAMEABLE,
    concerns_everything,
    decode_answer,
    expect_accepted,
    read_complaint,
    read_refusal,
)
from stageport.port.blueprints import blueprint_exists
from stageport.port.paths import bulk_delete_path, entity_delete_path
from stageport.port.searches import PortSearches
from stageport.port.session import PortSession

MOST_IDENTIFIERS: Final = 100


class _DeleteAnswer(msgspec.Struct, rename="camel"):
    deleted_entities: list[str] = []


_delete_answers = msgspec.json.Decoder(_DeleteAnswer)


class Deleter:
    """Deletes entities of one blueprint under one set of options."""

    def __init__(self, session: PortSession, searches: PortSearches, blueprint: str, options: WriteOptions) -> None:
        self._session = session
        self._searches = searches
        self._blueprint = blueprint
        self._options = options

    async def delete(self, identifiers: Sequence[str]) -> Mapping[str, Written]:
        """Delete any number of entities, in the given order; gone already counts as deleted."""
        answers: dict[str, Written] = {}
        wanted = list(dict.fromkeys(identifiers))
        for start in range(0, len(wanted), MOST_IDENTIFIERS):
            answers.update(await self._delete_batch(wanted[start : start + MOST_IDENTIFIERS]))
        return answers

    async def _delete_batch(self, identifiers: Sequence[str]) -> dict[str, Written]:
        path = bulk_delete_path(self._blueprint, self._options)
        response = await self._session.call_json("POST", path, {"entities": identifiers}, exporter=True)
        if response.ok:
            deleted = set(decode_answer(_delete_answers, response, doing=self._doing).deleted_entities)
            left = [one for one in identifiers if one not in deleted]
            return {**_all_gone(identifiers), **await self._delete_left(left)}
        if await self._is_without_blueprint(response):
            return _all_gone(identifiers)
        # One that has dependents, or an identifier that Port does not like, fails the whole request (port-docs).
        return {one: await self._delete_one(one) for one in identifiers}

    async def _delete_left(self, identifiers: Sequence[str]) -> dict[str, Written]:
        """Deal with those that the answer does not name: gone before, gone along with another, or refused."""
        if not identifiers:
            return {}
        there = await self._searches.read_entities(self._blueprint, identifiers, fields=())
        return {one: await self._delete_one(one) for one in identifiers if one in there}

    async def _delete_one(self, identifier: str) -> Written:
        """Delete one entity by itself, for Port's word on it."""
        path = entity_delete_path(self._blueprint, identifier, self._options)
        response = await self._session.call("DELETE", path, exporter=True)
        if response.ok:
            expect_accepted(response, doing=self._doing)
            return Written(identifier)
        if response.status == 404 and read_complaint(response).error:
            return Written(identifier)
        if concerns_everything(response) or response.status not in BLAMEABLE - {404}:
            raise self._session.explain(response, doing=self._doing)
        return Written(identifier, refusal=read_refusal(response))

    async def _is_without_blueprint(self, response: Response) -> bool:
        """Say whether the blueprint itself is gone; raise when the refusal is not about entities."""
        unrouted = response.status == 404 and not read_complaint(response).error
        if unrouted or concerns_everything(response) or response.status not in BLAMEABLE:
            raise self._session.explain(response, doing=self._doing)
        return response.status == 404 and not await blueprint_exists(self._session, self._blueprint)

    @property
    def _doing(self) -> str:
        return f"deleting entities of blueprint {self._blueprint}"


def _all_gone(identifiers: Iterable[str]) -> dict[str, Written]:
    return {identifier: Written(identifier) for identifier in identifiers}
