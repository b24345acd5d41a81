"""Deleting entities at the Port stand-in: who stands in the way and who goes along."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import Rig, open_rig

WITH = {"delete_dependents": "true"}
WITHOUT = {"delete_dependents": "false"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Let ``leaf`` require ``branch``, ``branch`` require ``root``; ``friend`` relates to all without need."""
    async with open_rig() as rig:
        await rig.blueprint("root")
        await rig.blueprint("branch", relations={"root": {"target": "root", "required": True}})
        await rig.blueprint("leaf", relations={"branch": {"target": "branch", "required": True}})
        await rig.blueprint(
            "friend",
            relations={
                "roots": {"target": "root", "many": True},
                "root": {"target": "root"},
                "leaf": {"target": "leaf"},
            },
        )
        await rig.bulk([{"identifier": "r"}, {"identifier": "s"}], blueprint="root")
        await rig.write({"identifier": "b", "relations": {"root": "r"}}, blueprint="branch")
        await rig.write({"identifier": "l", "relations": {"branch": "b"}}, blueprint="leaf")
        friend = {"identifier": "f", "relations": {"roots": ["r", "s"], "root": "r", "leaf": "l"}}
        await rig.write(friend, blueprint="friend")
        yield rig


def stored(rig: Rig) -> str:
    return "".join(sorted(key for one in ("root", "branch", "leaf", "friend") for key in rig.state.entities(one)))


async def delete(rig: Rig, blueprint: str, *identifiers: str, query: Any = WITH) -> Any:
    return await rig.call(
        "POST", f"/v1/blueprints/{blueprint}/bulk/entities/delete", {"entities": list(identifiers)}, query=query
    )


async def test_one_is_deleted_once(rig: Rig) -> None:
    path = "/v1/blueprints/root/entities/s"
    await rig.ok("DELETE", path, query=WITHOUT)
    reply = await rig.call("DELETE", path, query=WITHOUT)
    assert (reply.status, reply.error) == (404, "not_found")
    assert stored(rig) == "bflr"


async def test_who_is_required_stays(rig: Rig) -> None:
    reply = await rig.call("DELETE", "/v1/blueprints/root/entities/r", query=WITHOUT)
    assert (reply.status, reply.error) == (403, "has_dependents")
    reply = await delete(rig, "root", "s", "r", query=WITHOUT)
    assert (reply.status, reply.error) == (403, "has_dependents")
    assert stored(rig) == "bflrs"


async def test_dependents_go_along_and_friends_forget(rig: Rig) -> None:
    await rig.ok("DELETE", "/v1/blueprints/root/entities/r", query=WITH)
    assert stored(rig) == "fs"
    assert (await rig.get("f", blueprint="friend"))["relations"] == {"roots": ["s"], "root": None, "leaf": None}
    assert rig.state.journal.entities["deleted"] == 3


async def test_a_bulk_names_what_it_deleted(rig: Rig) -> None:
    reply = await delete(rig, "root", "s", "nobody", "s", "r")
    assert reply.body == {"ok": True, "deletedEntities": ["s", "r"]}
    assert stored(rig) == "f"
    assert (await delete(rig, "root", "s")).body == {"ok": True, "deletedEntities": []}


@pytest.mark.parametrize(
    "body", [{}, {"entities": []}, {"entities": [1]}, {"entities": "a"}, {"entities": ["a"], "x": 1}]
)
async def test_bulks_that_are_none(rig: Rig, body: dict[str, Any]) -> None:
    reply = await rig.call("POST", "/v1/blueprints/root/bulk/entities/delete", body, query=WITH)
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_a_hundred_is_the_most(rig: Rig) -> None:
    assert (await delete(rig, "root", *map(str, range(101)))).status == 422
    assert (await delete(rig, "root", *map(str, range(100)))).status == 200


async def test_delete_dependents_is_required(rig: Rig) -> None:
    assert (await delete(rig, "root", "r", query={})).status == 422
    assert (await rig.call("DELETE", "/v1/blueprints/root/entities/r")).status == 422
    assert (await delete(rig, "root", "r", query={"delete_dependents": "maybe"})).status == 422


async def test_no_such_blueprint(rig: Rig) -> None:
    assert (await delete(rig, "none", "r")).status == 404


async def test_a_migration_minds_dependents_too(rig: Rig) -> None:
    reply = await rig.call("DELETE", "/v1/blueprints/root/all-entities")
    assert (reply.status, reply.error) == (403, "has_dependents")
    assert stored(rig) == "bflrs"


async def test_a_deleted_entity_comes_back_at_the_end_of_the_listing(rig: Rig) -> None:
    await delete(rig, "root", "r")
    await rig.write({"identifier": "r"}, blueprint="root")
    listed = await rig.ok("GET", "/v1/blueprints/root/entities", query={"include": "identifier"})
    assert listed["entities"] == [{"identifier": "s"}, {"identifier": "r"}]
