"""The paths of Port's API, identifiers encoded: they may hold slashes, plus signs and any letter."""

from urllib.parse import quote, urlencode

from stageport.model.changes import WriteOptions


def blueprint_path(identifier: str) -> str:
    """Return the path of a blueprint."""
    return f"/v1/blueprints/{quote(identifier, safe='')}"


def integration_path(identifier: str) -> str:
    """Return the path of an integration."""
    return f"/v1/integration/{quote(identifier, safe='')}"


def upsert_path(blueprint: str, options: WriteOptions) -> str:
    """Return the path of the bulk upsert, with the switches of the mapping."""
    query = {
        "upsert": "true",
        "merge": _say(options.merge),
        "create_missing_related_entities": _say(options.create_missing_related),
        "validation_only": "false",
        **_pass_query(options),
    }
    return f"{blueprint_path(blueprint)}/entities/bulk?{urlencode(query)}"


def bulk_delete_path(blueprint: str, options: WriteOptions) -> str:
    """Return the path of the bulk delete."""
    return f"{blueprint_path(blueprint)}/bulk/entities/delete?{_delete_query(options)}"


def entity_delete_path(blueprint: str, identifier: str, options: WriteOptions) -> str:
    """Return the path that deletes one entity."""
    return f"{blueprint_path(blueprint)}/entities/{quote(identifier, safe='')}?{_delete_query(options)}"


def _delete_query(options: WriteOptions) -> str:
    return urlencode({"delete_dependents": _say(options.delete_dependents), **_pass_query(options)})


def _pass_query(options: WriteOptions) -> dict[str, str]:
    """Name the resync that a write belongs to, as Port's own integration does; Port shows it in its audit log."""
    if not options.pass_id:
        return {}
    return {"ocean_info_event_type": "resync", "ocean_info_resync_id": options.pass_id}


def _say(flag: bool) -> str:  # noqa: FBT001 - there is nothing else to name it by
    return "true" if flag else "false"
