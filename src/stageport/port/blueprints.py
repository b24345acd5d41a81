"""The blueprints at Port: the ``BlueprintStore`` of a pass."""

from collections.abc import Sequence

import msgspec

from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import Json
from stageport.model.errors import MissingBlueprintError
from stageport.port.answers import decode_answer, expect_accepted
from stageport.port.paths import blueprint_path
from stageport.port.session import PortSession


class _All(msgspec.Struct):
    blueprints: list[dict[str, Json]]


_alls = msgspec.json.Decoder(_All)


async def blueprint_exists(session: PortSession, identifier: str) -> bool:
    """Say whether there is such a blueprint."""
    doing = f"looking for blueprint {identifier}"
    response = await session.call("GET", blueprint_path(identifier))
    if response.ok:
        expect_accepted(response, doing=doing)
    elif response.status != 404:
        raise session.explain(response, doing=doing)
    return response.ok


def missing_blueprint(identifier: str) -> MissingBlueprintError:
    """Return the error for a blueprint that is not there."""
    return MissingBlueprintError(
        f"Port has no blueprint {identifier}",
        hint="Create it, or correct the blueprint expression in the mapping.",
    )


class PortBlueprints:
    """Reads, creates and changes blueprints; it keeps none in memory."""

    def __init__(self, session: PortSession) -> None:
        self._session = session

    async def read_blueprints(self) -> Sequence[Blueprint]:
        """Return all blueprints."""
        doing = "reading the blueprints"
        response = await self._session.call("GET", "/v1/blueprints")
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        return [parse_blueprint(document) for document in decode_answer(_alls, response, doing=doing).blueprints]

    async def create_blueprint(self, document: Json) -> None:
        """Create a blueprint from its whole document.

        Raises:
            TargetAnswerError: with code ``identifier_taken`` when there is one already.
        """
        response = await self._session.call_json("POST", "/v1/blueprints", document, exporter=True, retryable=False)
        doing = f"creating blueprint {document.get('identifier')}"
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        expect_accepted(response, doing=doing)

    async def patch_blueprint(self, identifier: str, patch: Json) -> None:
        """Change a blueprint; ``patch`` holds whole top-level objects (``relations`` entire, not one of them)."""
        response = await self._session.call_json("PATCH", blueprint_path(identifier), patch, exporter=True)
        doing = f"changing blueprint {identifier}"
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        expect_accepted(response, doing=doing)
