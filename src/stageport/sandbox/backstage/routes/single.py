"""One entity: by uid, by name, its ancestry; and POST /refresh."""

from types import MappingProxyType

import msgspec
from aiohttp import web

from stageport.model.refs import source_ref
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.answers import NotAllowedError, NotFoundError, empty_answer, entity_answer, json_answer
from stageport.sandbox.backstage.catalog import FinalEntity
from stageport.sandbox.backstage.parameters import NOTHING, Field, check_body, read_body, read_parameters
from stageport.sandbox.backstage.view import CatalogView

_REFRESH_BODY = MappingProxyType({"authorizationToken": Field("string"), "entityRef": Field("string", required=True)})


async def get_by_uid(view: CatalogView, request: web.Request, access: Access, uid: str) -> web.Response:
    """Answer with the entity of a uid, in any casing: it is looked for in the search index."""
    read_parameters(request, NOTHING)
    return _answer(request, access, view.catalog.by_uid(uid.lower()), f"No entity with uid {uid}")


async def delete_by_uid(view: CatalogView, request: web.Request, access: Access, uid: str) -> web.Response:
    """Delete the entity of a uid; that there is none is no error."""
    read_parameters(request, NOTHING)
    if access is not Access.FULL:
        raise NotAllowedError
    entity = view.catalog.by_uid(uid)
    if entity is not None:
        view.catalog.delete(entity.ref)
    return empty_answer(204)


async def get_by_name(view: CatalogView, request: web.Request, access: Access, *name_parts: str) -> web.Response:
    """Answer with the entity of a ref, in any casing."""
    read_parameters(request, NOTHING)
    kind, namespace, name = name_parts
    missing = f"No entity named '{name}' found, with kind '{kind}' in namespace '{namespace}'"
    return _answer(request, access, view.catalog.find(source_ref(kind, namespace, name)), missing)


async def get_ancestry(view: CatalogView, request: web.Request, access: Access, *name_parts: str) -> web.Response:
    """Answer with an entity and no parents: those that a provider puts in have none."""
    read_parameters(request, NOTHING)
    if access is Access.BLIND:
        raise NotAllowedError
    ref = source_ref(*name_parts)
    entity = view.catalog.find(ref)
    if entity is None:
        raise NotFoundError(f"No such entity {ref}")
    body = b'{"rootEntityRef":%s,"items":[{"entity":%s,"parentEntityRefs":[]}]}'
    return json_answer(request, body % (msgspec.json.encode(ref), entity.body))


async def post_refresh(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Say 200 to every ref there is: the stand-in is never behind."""
    read_parameters(request, NOTHING)
    body = await read_body(request, required=True)
    check_body(body, _REFRESH_BODY, closed=True)
    if access is not Access.FULL:
        raise NotAllowedError
    if body["entityRef"] not in view.catalog:
        raise NotFoundError(f"Entity {body['entityRef']} not found")
    return empty_answer(200)


async def get_locations(_view: CatalogView, request: web.Request, _access: Access) -> web.Response:
    """Answer that nobody has registered a location by hand."""
    read_parameters(request, NOTHING)
    return json_answer(request, b"[]")


def _answer(request: web.Request, access: Access, entity: FinalEntity | None, missing: str) -> web.Response:
    if entity is None or access is Access.BLIND:
        raise NotFoundError(missing)
    return entity_answer(request, entity.body)
