"""``/v1/blueprints``: documents, and the migrations that empty them."""

from typing import Any

from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.port.blueprint_rules import COMPUTED, check_blueprint, check_change
from stageport.sandbox.port.gate import STATE, answer, read_object
from stageport.sandbox.port.parameters import flag
from stageport.sandbox.port.problems import has_dependents, invalid, not_found, protected, taken
from stageport.sandbox.port.records import EntityKey
from stageport.sandbox.port.state import PortState
from stageport.sandbox.port.system_blueprints import SYSTEM_BLUEPRINTS, check_kept

MIGRATIONS = "migration"
_SERVER_KEYS = ("createdAt", "createdBy", "updatedAt", "updatedBy")


def add_blueprint_routes(router: web.UrlDispatcher) -> None:
    """Add the routes of blueprints and migrations."""
    router.add_get("/v1/blueprints", list_blueprints)
    router.add_post("/v1/blueprints", create_blueprint)
    router.add_get("/v1/blueprints/{blueprint}", get_blueprint)
    router.add_put("/v1/blueprints/{blueprint}", replace_blueprint)
    router.add_patch("/v1/blueprints/{blueprint}", patch_blueprint)
    router.add_delete("/v1/blueprints/{blueprint}", delete_blueprint)
    router.add_delete("/v1/blueprints/{blueprint}/all-entities", delete_all_entities)
    router.add_get("/v1/migrations", list_migrations)
    router.add_get("/v1/migrations/{migration}", get_migration)


async def list_blueprints(request: web.Request) -> web.Response:
    """Return all blueprints."""
    return answer({"blueprints": list(request.app[STATE].store.blueprints())})


async def get_blueprint(request: web.Request) -> web.Response:
    """Return one blueprint."""
    state = request.app[STATE]
    return answer({"blueprint": state.catalog.get(request.match_info["blueprint"]).document})


async def create_blueprint(request: web.Request) -> web.Response:
    """Create a blueprint; the catalog page that Port would add is not kept."""
    state = request.app[STATE]
    given = await read_object(request)
    flag(request, "create_catalog_page")
    document = _checked(state, _without_server_keys(given))
    if state.catalog.exists(document["identifier"]):
        raise taken("Blueprint", document["identifier"])
    now = state.now()
    document |= {"createdAt": now, "createdBy": state.actor, "updatedAt": now, "updatedBy": state.actor}
    state.store.put_blueprint(document)
    return answer({"blueprint": document}, status=201)


async def replace_blueprint(request: web.Request) -> web.Response:
    """Replace a blueprint by a whole document."""
    state = request.app[STATE]
    before = state.catalog.get(request.match_info["blueprint"]).document
    given = _without_server_keys(await read_object(request))
    return answer({"blueprint": _change(state, before, given)})


async def patch_blueprint(request: web.Request) -> web.Response:
    """Change some top-level keys of a blueprint."""
    state = request.app[STATE]
    before = state.catalog.get(request.match_info["blueprint"]).document
    given = _without_server_keys(await read_object(request))
    merge = state.options.behaviour.patch_merges_blueprint
    merged = _merge_deep(before, given) if merge else {**before, **given}
    return answer({"blueprint": _change(state, before, _without_server_keys(merged))})


def _change(state: PortState, before: Json, given: dict[str, Json]) -> Json:
    if given.get("identifier", before["identifier"]) != before["identifier"]:
        raise invalid("the identifier of a blueprint cannot be changed here")
    after = _checked(state, {**given, "identifier": before["identifier"]})
    check_change(before, after)
    check_kept(before, after)
    after |= {key: before[key] for key in ("createdAt", "createdBy") if key in before}
    after |= {"updatedAt": state.now(), "updatedBy": state.actor}
    state.store.put_blueprint(after)
    return after


def _checked(state: PortState, given: dict[str, Json]) -> dict[str, Json]:
    return check_blueprint(given, exists=state.catalog.exists)


def _without_server_keys(document: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in document.items() if key not in _SERVER_KEYS}


def _merge_deep(before: Json, given: dict[str, Json]) -> dict[str, Json]:
    merged: dict[str, Any] = {**before, **given}
    for key in ("relations", *COMPUTED):
        if key in given:
            merged[key] = {**before.get(key, {}), **given[key]}
    if "schema" in given:
        schema = given["schema"]
        merged["schema"] = {
            "properties": {**before["schema"]["properties"], **schema.get("properties", {})},
            "required": schema.get("required", before["schema"]["required"]),
        }
    return merged


async def delete_blueprint(request: web.Request) -> web.Response:
    """Delete a blueprint that nothing hangs on any more."""
    state = request.app[STATE]
    identifier = state.catalog.get(request.match_info["blueprint"]).identifier
    flag(request, "delete_actions")
    _check_deletable(state, identifier)
    if state.store.count(identifier):
        raise has_dependents(f'Blueprint "{identifier}" has entities')
    state.store.drop_blueprint(identifier)
    return answer({})


def _check_deletable(state: PortState, identifier: str) -> None:
    if identifier in SYSTEM_BLUEPRINTS:
        raise protected(identifier, "it cannot be deleted")
    for other in state.store.blueprints():
        targets = {relation["target"] for relation in (other.get("relations") or {}).values()}
        if other["identifier"] != identifier and identifier in targets:
            raise has_dependents(f'Blueprint "{other["identifier"]}" relates to blueprint "{identifier}"')


async def delete_all_entities(request: web.Request) -> web.Response:
    """Start a migration that deletes all entities of a blueprint, and the blueprint too if asked."""
    state = request.app[STATE]
    identifier = state.catalog.get(request.match_info["blueprint"]).identifier
    with_blueprint = flag(request, "delete_blueprint")
    if with_blueprint:
        _check_deletable(state, identifier)
    keys = [EntityKey(identifier, entity.identifier) for entity in state.store.entities(identifier)]
    state.remove(keys, delete_dependents=False)
    if with_blueprint:
        state.store.drop_blueprint(identifier)
    migration = f"migration_{state.chance.getrandbits(64):016x}"
    state.store.put_record(
        MIGRATIONS,
        migration,
        {
            "id": migration,
            "actor": state.actor,
            "sourceBlueprint": identifier,
            "mapping": {},
            "polls": state.options.behaviour.migration_polls,
        },
    )
    return answer({"migrationId": migration})


async def get_migration(request: web.Request) -> web.Response:
    """Tell how far a migration is: running for the first polls, then completed."""
    state = request.app[STATE]
    identifier = request.match_info["migration"]
    migration = state.store.record(MIGRATIONS, identifier)
    if migration is None:
        raise not_found("Migration", field="id", value=identifier)
    shown = _show_migration(migration)
    state.store.put_record(MIGRATIONS, identifier, {**migration, "polls": max(0, migration["polls"] - 1)})
    return answer({"migration": shown})


async def list_migrations(request: web.Request) -> web.Response:
    """Return all migrations."""
    return answer(
        {"migrations": [_show_migration(one) for one in request.app[STATE].store.records(MIGRATIONS).values()]}
    )


def _show_migration(migration: Json) -> dict[str, Json]:
    status = "RUNNING" if migration["polls"] > 0 else "COMPLETED"
    return {**{key: value for key, value in migration.items() if key != "polls"}, "status": status}
