"""What Port refuses: a status, the code of its error table, and words.

Clients must not read the words: Port's own are not published. The codes are.
"""

from collections.abc import Mapping


class PortProblem(Exception):  # noqa: N818 - it becomes an answer, it is no fault of ours
    """A refusal, on its way to becoming an answer in Port's error envelope."""

    def __init__(self, status: int, code: str, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def envelope(self) -> dict[str, object]:
        """Return the body of the answer."""
        body: dict[str, object] = {"ok": False, "error": self.code, "message": self.message}
        if self.details is not None:
            body["details"] = dict(self.details)
        return body


def invalid(message: str) -> PortProblem:
    """Return the refusal of a request that breaks the schema of its route: 422, for the whole request."""
    return PortProblem(422, "invalid_request", message)


def mismatch(message: str) -> PortProblem:
    """Return the refusal of an entity that does not fit its blueprint."""
    return PortProblem(422, "blueprint_schema_mismatch", message)


def not_found(resource: str, *, field: str, value: str) -> PortProblem:
    """Return Port's answer for something that is not there."""
    return PortProblem(
        404,
        "not_found",
        f'{resource} with {field} "{value}" was not found',
        details={"resource": resource, "byField": field, "withValue": value},
    )


def no_such_related(blueprint: str, identifier: str) -> PortProblem:
    """Return Port's answer for a relation or a team that leads nowhere."""
    return PortProblem(
        404, "not_found", f'Entity with identifier "{identifier}" does not exist in the blueprint "{blueprint}"'
    )


def taken(resource: str, identifier: str) -> PortProblem:
    """Return the refusal to create what exists already."""
    return PortProblem(
        409,
        "identifier_taken",
        f'{resource} with identifier "{identifier}" already exists',
        details={"resource": resource, "identifier": identifier},
    )


def has_dependents(message: str) -> PortProblem:
    """Return the refusal to delete what others require."""
    return PortProblem(403, "has_dependents", message)


def protected(identifier: str, message: str) -> PortProblem:
    """Return the refusal to touch what Port itself owns. The code is known, its status is not: 403 by analogy."""
    return PortProblem(403, "protected_blueprint_violation", f'Blueprint "{identifier}" is protected: {message}')
