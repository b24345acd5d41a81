"""Query parameters of requests, as strictly as Port's specification has them."""

from aiohttp import web

from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.projection import Fields


def flag(request: web.Request, name: str, *, required: bool = False) -> bool:
    """Return a parameter that is ``true`` or ``false``, and false when it is left out.

    Raises:
        PortProblem: 422, it is something else, or it is required and left out.
    """
    value = request.query.get(name)
    if value is None:
        if required:
            raise invalid(f"\"querystring\" must have required property '{name}'")
        return False
    if value not in {"true", "false"}:
        raise invalid(f'"{name}" must be boolean')
    return value == "true"


def fields(request: web.Request) -> Fields:
    """Return which fields an answer is to have."""
    return Fields(
        include=frozenset(request.query.getall("include", ())),
        exclude=frozenset(request.query.getall("exclude", ())),
        exclude_calculated=flag(request, "exclude_calculated_properties"),
        attach_titles=flag(request, "attach_title_to_relation"),
    )


def user_agent(request: web.Request) -> str:
    """Return what Port keeps as the datasource of what this request writes."""
    return request.headers.get("User-Agent", "")
