"""The blueprints every organization has: people and teams. They can be extended, never deleted or stripped."""

from collections.abc import Mapping

from stageport.model.entities import Json
from stageport.sandbox.port.problems import protected

USER = "_user"
TEAM = "_team"
SYSTEM_BLUEPRINTS = frozenset({USER, TEAM, "_scorecard", "_rule", "_rule_result"})


def system_documents() -> list[dict[str, Json]]:
    """Return the documents of the system blueprints that entities can be written to."""
    return [
        {
            "identifier": TEAM,
            "title": "Team",
            "icon": "Team",
            "schema": {"properties": {"description": {"type": "string", "title": "Description"}}, "required": []},
            "relations": {},
        },
        {
            "identifier": USER,
            "title": "User",
            "icon": "User",
            "schema": {
                "properties": {
                    "status": {"type": "string", "enum": ["Active", "Invited", "Disabled", "Staged"]},
                    "port_role": {"type": "string", "enum": ["Admin", "Member", "Moderator"]},
                    "port_type": {"type": "string", "enum": ["Standard", "Service Account"]},
                    "moderated_blueprints": {"type": "array", "items": {"type": "string", "format": "blueprints"}},
                },
                "required": [],
            },
            "relations": {},
        },
    ]


def check_kept(before: Mapping[str, Json], after: Mapping[str, Json]) -> None:
    """Check that a change of a system blueprint keeps what it came with."""
    identifier = before["identifier"]
    if identifier not in SYSTEM_BLUEPRINTS:
        return
    built_in = next((one for one in system_documents() if one["identifier"] == identifier), None)
    for name in built_in["schema"]["properties"] if built_in else ():
        if name not in after["schema"]["properties"]:
            raise protected(identifier, f'the property "{name}" cannot be removed')
