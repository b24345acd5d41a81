"""Writing and deleting entities, one by one and in bulk."""

from collections.abc import Sequence

from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.port.catalog import CompiledBlueprint
from stageport.sandbox.port.entity_request import EntityRequest
from stageport.sandbox.port.gate import STATE, answer, read_json, read_object
from stageport.sandbox.port.parameters import fields, flag, user_agent
from stageport.sandbox.port.problems import PortProblem, invalid, not_found
from stageport.sandbox.port.projection import Fields
from stageport.sandbox.port.records import EntityKey
from stageport.sandbox.port.shapes import need_keys, need_list, need_object, need_text, only_keys
from stageport.sandbox.port.state import PortState
from stageport.sandbox.port.upsert import EntityWriter, Fate, Outcome, WriteMode

MAX_UPSERTS = 20
MAX_DELETES = 100
_ENTITIES = "/v1/blueprints/{blueprint}/entities"
_ENTITY = "/v1/blueprints/{blueprint}/entities/{entity}"


def add_entity_routes(router: web.UrlDispatcher) -> None:
    """Add the routes of entities. Literal paths come first: ``bulk`` is no identifier."""
    router.add_post(f"{_ENTITIES}/bulk", upsert_bulk)
    router.add_post(_ENTITIES, upsert_one)
    router.add_get(_ENTITIES, list_entities)
    router.add_get("/v1/blueprints/{blueprint}/entities-count", count_entities)
    router.add_post("/v1/blueprints/{blueprint}/bulk/entities/delete", delete_bulk)
    router.add_get(_ENTITY, get_entity)
    router.add_put(_ENTITY, replace_entity)
    router.add_patch(_ENTITY, patch_entity)
    router.add_delete(_ENTITY, delete_entity)


def _mode(request: web.Request) -> WriteMode:
    state = request.app[STATE]
    strict = not state.options.leniency.missing_query_parameters
    return WriteMode(
        upsert=flag(request, "upsert", required=strict),
        merge=flag(request, "merge"),
        create_missing=flag(request, "create_missing_related_entities"),
        validation_only=flag(request, "validation_only"),
        datasource=user_agent(request),
        actor=state.actor,
        now=state.now(),
    )


def _blueprint(request: web.Request) -> CompiledBlueprint:
    return request.app[STATE].catalog.get(request.match_info["blueprint"])


async def upsert_one(request: web.Request) -> web.Response:
    """Write one entity."""
    state = request.app[STATE]
    mode = _mode(request)
    item = state.reader.read(await read_json(request))
    outcome = _counted(state, state.writer(mode), _blueprint(request), item)
    return _answer_outcome(state, outcome)


def _counted(state: PortState, writer: EntityWriter, blueprint: CompiledBlueprint, item: EntityRequest) -> Outcome:
    try:
        outcome = writer.write(blueprint, item)
    except PortProblem as problem:
        state.journal.refused(problem.code)
        raise
    state.journal.wrote(outcome)
    return outcome


def _answer_outcome(state: PortState, outcome: Outcome) -> web.Response:
    behaviour = state.options.behaviour
    match outcome.fate:
        case Fate.CREATED:
            status: int = 201
        case Fate.VALIDATED:
            status = behaviour.validation_only_status
        case Fate.UPDATED | Fate.UNCHANGED:
            status = behaviour.updated_status
    return answer({"entity": state.projector(Fields()).show(outcome.entity)}, status=status)


async def upsert_bulk(request: web.Request) -> web.Response:
    """Write up to 20 entities, each of which may be refused on its own."""
    state = request.app[STATE]
    mode = _mode(request)
    given = await read_object(request)
    need_keys(given, "body", required=("entities",))
    only_keys(given, ("entities",))
    documents = need_list(given["entities"], "entities")
    if not 1 <= len(documents) <= MAX_UPSERTS:
        raise invalid(f'"entities" must have 1 to {MAX_UPSERTS} items, not {len(documents)}')
    # All shapes are read before anything is written: a slip in one refuses the request, as a schema of the route does.
    items = [state.reader.read(document) for document in documents]
    return _write_all(state, _blueprint(request), mode, items)


def _write_all(
    state: PortState, blueprint: CompiledBlueprint, mode: WriteMode, items: Sequence[EntityRequest]
) -> web.Response:
    written: list[tuple[int, Json]] = []
    errors: list[tuple[int, Json]] = []
    writer = state.writer(mode)
    order = range(len(items))
    for index in reversed(order) if state.options.behaviour.reversed_bulk else order:
        item = items[index]
        try:
            outcome = _counted(state, writer, blueprint, item)
        except PortProblem as problem:
            errors.append((index, _show_error(index, item, problem)))
        else:
            written.append((index, _show_outcome(index, outcome)))
    status = 200
    if errors:
        status = 207 if written else state.options.behaviour.all_failed_status
    return answer(
        {
            "ok": not errors,
            "entities": [shown for _index, shown in sorted(written, key=_by_index)],
            "errors": [shown for _index, shown in sorted(errors, key=_by_index)],
        },
        status=status,
    )


def _by_index(pair: tuple[int, Json]) -> int:
    return pair[0]


def _show_outcome(index: int, outcome: Outcome) -> dict[str, Json]:
    created = outcome.fate is Fate.CREATED
    return {"created": created, "identifier": outcome.entity.identifier, "index": index}


def _show_error(index: int, item: EntityRequest, problem: PortProblem) -> dict[str, Json]:
    return {
        "identifier": item.shown_identifier,
        "index": index,
        "statusCode": problem.status,
        "error": problem.code,
        "message": problem.message,
    }


async def list_entities(request: web.Request) -> web.Response:
    """Return all entities of a blueprint, without paging."""
    state = request.app[STATE]
    blueprint = _blueprint(request)
    shown = state.projector(fields(request)).show_all(state.store.entities(blueprint.identifier))
    return answer({"entities": shown})


async def count_entities(request: web.Request) -> web.Response:
    """Return how many entities a blueprint has."""
    return answer({"count": request.app[STATE].store.count(_blueprint(request).identifier)})


async def get_entity(request: web.Request) -> web.Response:
    """Return one entity."""
    state = request.app[STATE]
    key = _key(request)
    entity = state.store.entity(*key)
    if entity is None:
        raise not_found("Entity", field="identifier", value=key.identifier)
    return answer({"entity": state.projector(fields(request)).show(entity)})


def _key(request: web.Request) -> EntityKey:
    return EntityKey(_blueprint(request).identifier, request.match_info["entity"])


async def replace_entity(request: web.Request) -> web.Response:
    """Replace an entity: what is not given is dropped."""
    item = request.app[STATE].reader.read(await read_json(request))
    return _rewrite(request, item, merge=False)


async def patch_entity(request: web.Request) -> web.Response:
    """Change some fields of an entity."""
    item = request.app[STATE].reader.read_patch(await read_json(request))
    return _rewrite(request, item, merge=True)


def _rewrite(request: web.Request, item: EntityRequest, *, merge: bool) -> web.Response:
    state = request.app[STATE]
    mode = WriteMode(
        merge=merge,
        create_missing=flag(request, "create_missing_related_entities"),
        datasource=user_agent(request),
        actor=state.actor,
        now=state.now(),
    )
    key = _key(request)
    try:
        outcome = state.writer(mode).rewrite(_blueprint(request), item, identifier=key.identifier)
    except PortProblem as problem:
        state.journal.refused(problem.code)
        raise
    state.journal.wrote(outcome)
    return answer({"entity": state.projector(Fields()).show(outcome.entity)})


def _delete_dependents(request: web.Request) -> bool:
    strict = not request.app[STATE].options.leniency.missing_query_parameters
    return flag(request, "delete_dependents", required=strict)


async def delete_entity(request: web.Request) -> web.Response:
    """Delete one entity."""
    state = request.app[STATE]
    dependents = _delete_dependents(request)
    key = _key(request)
    if state.store.entity(*key) is None:
        raise not_found("Entity", field="identifier", value=key.identifier)
    state.remove([key], delete_dependents=dependents)
    return answer({})


async def delete_bulk(request: web.Request) -> web.Response:
    """Delete up to 100 entities: all of them, or none when one has dependents that must stay."""
    state = request.app[STATE]
    dependents = _delete_dependents(request)
    blueprint = _blueprint(request)
    given = need_object(await read_json(request), "body")
    need_keys(given, "body", required=("entities",))
    only_keys(given, ("entities",))
    identifiers = [need_text(one, "entities") for one in need_list(given["entities"], "entities")]
    if not 1 <= len(identifiers) <= MAX_DELETES:
        raise invalid(f'"entities" must have 1 to {MAX_DELETES} items, not {len(identifiers)}')
    # Those that are not there are passed over: clients trust `deletedEntities`, and gone is gone.
    keys = [EntityKey(blueprint.identifier, identifier) for identifier in dict.fromkeys(identifiers)]
    removed = set(state.remove(keys, delete_dependents=dependents))
    return answer({"deletedEntities": [key.identifier for key in keys if key in removed]})
