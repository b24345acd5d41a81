"""Reads Port's answers: its error envelope, and the words for people."""

from typing import Final, TypeVar

import msgspec

from stageport.http.messages import Response
from stageport.model.changes import Refusal
from stageport.model.errors import (
    TargetAnswerError,
    TargetError,
    TargetRefusedError,
    TargetUnreachableError,
    excerpt,
)

T = TypeVar("T")

PERMISSION_CODES: Final = frozenset({"", "missing_permissions", "forbidden", "unauthorized"})
"""403 with one of these, or with no code at all (an address that is not on the allow-list), concerns everything;
with another one (``required_relation``, ``has_dependents``, ``protected_entity``) the entity at hand."""

BLAMEABLE: Final = frozenset({400, 403, 404, 409, 413, 422})
"""Refusals of a request that may be the fault of one entity in it."""

REGION_HINT: Final = (
    "Port's regions know nothing of each other: https://api.port.io (or api.getport.io) is the EU, "
    "https://api.us.port.io (or api.us.getport.io) the US. Set the one that your organization lives in."
)

NO_API_HINT: Final = f"There is no Port API at this address: set the Port base URL to one. {REGION_HINT}"


class Complaint(msgspec.Struct):
    """The envelope of an error: ``error`` is Port's code, e.g. ``not_found``."""

    error: str = ""
    message: str = ""


_complaints = msgspec.json.Decoder(Complaint)


def read_complaint(response: Response) -> Complaint:
    """Read the error envelope; anything else becomes a message without a code."""
    try:
        complaint = _complaints.decode(response.body)
    except msgspec.DecodeError:
        html = response.media_type == "text/html" or response.body.lstrip()[:1] == b"<"
        return Complaint("", "a web page" if html else excerpt(response.body, limit=120))
    return Complaint(complaint.error, excerpt(complaint.message))


def read_refusal(response: Response) -> Refusal:
    """Read an error answer that concerns one entity."""
    complaint = read_complaint(response)
    return Refusal(response.status, complaint.error or f"http_{response.status}", complaint.message)


def concerns_everything(response: Response) -> bool:
    """Say whether a 401 or 403 is about us rather than about the entity at hand."""
    if response.status == 401:
        return True
    return response.status == 403 and read_complaint(response).error in PERMISSION_CODES


def decode_answer(decoder: "msgspec.json.Decoder[T]", response: Response, *, doing: str) -> T:
    """Decode a successful answer.

    Raises:
        TargetAnswerError: it is no JSON, or JSON of another shape.
    """
    try:
        return decoder.decode(response.body)
    except msgspec.DecodeError as error:
        raise TargetAnswerError(
            f"Port answered something unexpected while {doing} ({error}): {excerpt(response.body, limit=120)}",
            status=response.status,
            hint="Does the Port base URL lead to Port's API, and is there a proxy that changes answers?",
        ) from error


class _Envelope(msgspec.Struct):
    ok: bool = True


_envelopes = msgspec.json.Decoder(_Envelope)


def is_no_api(response: Response) -> bool:
    """Say whether a 404 is from a server that knows no such route: Port's own names a code, in one word."""
    code = read_complaint(response).error
    return response.status == 404 and (not code or " " in code)


def expect_accepted(response: Response, *, doing: str) -> None:
    """Make sure that a successful answer is Port's, where nothing in it is of interest.

    A login page or a proxy's notice comes with 200 too, and stands for nothing that was done.

    Raises:
        TargetAnswerError: it is not.
    """
    if response.body or response.status != 204:
        decode_answer(_envelopes, response, doing=doing)


def explain_refusal(response: Response, *, doing: str, base_url: str) -> TargetError:
    """Turn an error answer into an error for people; ``doing`` reads like "reading the blueprints"."""
    complaint = read_complaint(response)
    said = ": ".join(part for part in (complaint.error, complaint.message) if part)
    words = f"Port at {base_url} answered {response.status} while {doing}" + (f" ({said})" if said else "")
    if concerns_everything(response):
        return TargetRefusedError(words, hint=_refused_hint(response, complaint))
    if response.status in (408, 429) or response.status >= 500:
        return TargetUnreachableError(
            words, hint="Port was asked several times over. Look at its status page, then run again."
        )
    return TargetAnswerError(words, status=response.status, code=complaint.error, hint=_answer_hint(response))


def _refused_hint(response: Response, complaint: Complaint) -> str:
    if response.status == 403 and not complaint.error:
        return "Port may allow certain IP addresses only: ask an admin of the organization to add this machine's."
    if response.status == 403:
        return "These credentials may not do that: use those that Port shows under Credentials."
    return f"Check the client id and secret. {REGION_HINT}"


def _answer_hint(response: Response) -> str:
    if 300 <= response.status < 400:
        return "The address redirects. Set the Port base URL to the API itself, like https://api.port.io."
    if is_no_api(response):
        return NO_API_HINT
    return "Port's code and message say what it did not like."
