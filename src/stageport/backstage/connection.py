"""Asks the catalog API one thing at a time, and sees to it that there is an answer or an error for people."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from stageport.backstage.address import catalog_url
from stageport.backstage.answers import MalformedBodyError, explain_refusal, is_answered, is_starting
from stageport.http.messages import NoAnswerError, Request, Response, Trouble
from stageport.http.sender import Sender
from stageport.model.entities import Json
from stageport.model.errors import SourceAnswerError, SourceError, SourceUnreachableError

T = TypeVar("T")
Probe = Callable[[], Awaitable[object]]

STARTING_PAUSE: Final = 1.0
MALFORMED_ATTEMPTS: Final = 3

UNREACHABLE_HINT: Final = (
    "Check the Backstage URL and that this machine may connect to it: firewall, VPN, HTTPS_PROXY and NO_PROXY."
)
LOG_HINT: Final = "See the log of the Backstage backend, and of the proxies before it, for the reason."
CERTIFICATE_HINT: Final = (
    "If a private authority signed the certificate, set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to its certificate."
)


class MissingRouteError(Exception):
    """404 with nothing in it, at a route that older releases lack: missing, or the backend is starting."""


class CatalogConnection:
    """The catalog API of one backend, with its token.

    ``starting_seconds`` is how long a backend may take to start up before it counts as unreachable.
    """

    def __init__(self, url: str, *, token: str | None, sender: Sender, starting_seconds: float) -> None:
        self.url = catalog_url(url)
        self._sender = sender
        self._starting_seconds = starting_seconds
        self._with_token = bool(token)
        self._headers = {"User-Agent": "stageport"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    async def get(
        self, path: str, *, read: Callable[[Response], T], found: Callable[[Response], bool] | None = None
    ) -> T:
        """Ask with GET. ``found`` names further answers that ``read`` deals with (a 404 for one entity)."""
        return await self._ask(self._request("GET", path, None), read, found=found)

    async def post_newer(self, path: str, body: Json, *, read: Callable[[Response], T], probe: Probe) -> T:
        """Ask with POST, at a route that older releases lack.

        A starting backend and a missing route look the same, so ``probe`` (anything that every release answers)
        waits for the start before the route is tried for the second and last time.

        Raises:
            MissingRouteError: this release does not have the route.
        """
        request = self._request("POST", path, body)
        try:
            return await self._ask(request, read, may_miss=True)
        except MissingRouteError:
            await probe()
            return await self._ask(request, read, may_miss=True)

    def _request(self, method: str, path: str, body: Json) -> Request:
        if body is None:
            return Request(method, self.url + path, self._headers)
        headers = {**self._headers, "Content-Type": "application/json"}
        return Request(method, self.url + path, headers, msgspec.json.encode(body))

    async def _ask(
        self,
        request: Request,
        read: Callable[[Response], T],
        *,
        found: Callable[[Response], bool] | None = None,
        may_miss: bool = False,
    ) -> T:
        """Read the answer; one whose JSON breaks off is asked for again (its status was sent before it broke)."""
        attempt = 0
        while True:
            response = await self._send_until_started(request, may_miss=may_miss)
            if not response.ok and not (found is not None and found(response)):
                raise explain_refusal(response, url=self.url, with_token=self._with_token)
            try:
                return read(response)
            except MalformedBodyError as error:
                attempt += 1
                if attempt == MALFORMED_ATTEMPTS:
                    raise SourceAnswerError(
                        f"Backstage's answer breaks off or is no JSON, {attempt} times over ({error})", hint=LOG_HINT
                    ) from error
            await self._sender.wait(self._sender.backoff(attempt), "the answer breaks off")

    async def _send_until_started(self, request: Request, *, may_miss: bool) -> Response:
        clock = self._sender.clock
        began = clock.monotonic()
        while True:
            response = await self._send(request)
            if not is_starting(response):
                return response
            if may_miss and response.status == 404:
                raise MissingRouteError(request.url)
            if clock.monotonic() - began + STARTING_PAUSE > self._starting_seconds:
                raise SourceUnreachableError(
                    f"Backstage at {self.url} answers {response.status} with nothing in it, for "
                    f"{self._starting_seconds:g} s now: it is still starting up, or has no catalog",
                    hint="Look whether the backend has started, and whether this is its URL.",
                )
            await self._sender.wait(STARTING_PAUSE, "Backstage is starting up")

    async def _send(self, request: Request) -> Response:
        try:
            return await self._sender.send(request, final=is_answered)
        except NoAnswerError as error:
            raise self._explain_silence(error) from error

    def _explain_silence(self, error: NoAnswerError) -> SourceError:
        words = f"Backstage at {self.url}: {error.reason}"
        match error.trouble:
            case Trouble.CUT_SHORT:
                return SourceAnswerError(words, hint=LOG_HINT)
            case Trouble.CERTIFICATE:
                return SourceUnreachableError(words, hint=CERTIFICATE_HINT)
            case _:
                return SourceUnreachableError(words, hint=UNREACHABLE_HINT)
