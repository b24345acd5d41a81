"""Talks to Port with a token that is fetched when needed, once for all who need it, and renewed on any 401."""

import asyncio
from dataclasses import dataclass
from typing import Final, TypeGuard
from urllib.parse import urlsplit

import msgspec

from stageport.http.messages import NoAnswerError, Request, Response, Trouble
from stageport.http.sender import Sender
from stageport.model.entities import Json
from stageport.model.errors import SettingsError, TargetError, TargetRefusedError, TargetUnreachableError
from stageport.port.answers import (
    NO_API_HINT,
    REGION_HINT,
    decode_answer,
    explain_refusal,
    is_no_api,
    read_complaint,
)
from stageport.port.identity import IntegrationIdentity

LONGEST_MARGIN: Final = 60.0
"""A token is renewed so many seconds before it expires. While an old one lives, Port hands out that same one, so the
margin is at most a tenth of what is left: near the end this takes a few fetches, not one for each request."""

UNREACHABLE_HINT: Final = (
    "Check the Port base URL and that this machine may connect to it: firewall, HTTPS_PROXY and NO_PROXY. "
    + REGION_HINT
)
CERTIFICATE_HINT: Final = (
    "A proxy that opens TLS needs its certificate authority here: set SSL_CERT_FILE or REQUESTS_CA_BUNDLE."
)


class _TokenAnswer(msgspec.Struct, rename="camel"):
    access_token: str
    expires_in: float
    token_type: str = "Bearer"  # noqa: S105 - a scheme, not a secret


_token_answers = msgspec.json.Decoder(_TokenAnswer)


@dataclass(frozen=True, slots=True, eq=False)
class _Token:
    """A token; compared by identity, for Port may hand out the same text twice."""

    authorization: str
    good_until: float


class PortSession:
    """Port's API under one set of credentials.

    Every answer but 401 and "no answer" is handed back, for the caller knows what it concerns.
    """

    def __init__(
        self, base_url: str, *, client_id: str, client_secret: str, identity: IntegrationIdentity, sender: Sender
    ) -> None:
        self.base_url = _read_base_url(base_url)
        self.identity = identity
        self._credentials = {"clientId": client_id, "clientSecret": client_secret}
        self._sender = sender
        self._token: _Token | None = None
        self._renewal = asyncio.Lock()

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        exporter: bool = False,
        retryable: bool = True,
    ) -> Response:
        """Send a request; ``path`` begins with ``/v1`` and is encoded. ``exporter`` marks the calls that own entities.

        Raises:
            TargetRefusedError: Port knows neither the token nor a fresh one.
            TargetUnreachableError: there was no answer.
        """
        token = await self._get_token()
        response = await self._send(method, path, body, token=token, exporter=exporter, retryable=retryable)
        if response.status != 401:
            return response
        token = await self._get_token(rejected=token)
        response = await self._send(method, path, body, token=token, exporter=exporter, retryable=retryable)
        if response.status == 401:
            raise explain_refusal(response, doing="using a token that it had just given", base_url=self.base_url)
        return response

    async def call_json(
        self, method: str, path: str, body: Json, *, exporter: bool = False, retryable: bool = True
    ) -> Response:
        """Send a request with a body that is yet to be encoded."""
        encoded = msgspec.json.encode(body)
        return await self.call(method, path, body=encoded, exporter=exporter, retryable=retryable)

    async def call_elsewhere(self, method: str, url: str, body: bytes, *, sender: Sender) -> Response:
        """Send a report to an address that Port named, by a sender of its own.

        Raises:
            TargetError: there was no answer, or no token.
        """
        token = await self._get_token()
        headers = {
            "User-Agent": self.identity.user_agent,
            "Authorization": token.authorization,
            "Content-Type": "application/json",
        }
        try:
            return await sender.send(Request(method, url, headers, body, retryable=True))
        except NoAnswerError as error:
            raise TargetUnreachableError(f"{urlsplit(url).netloc}: {error.reason}", hint=UNREACHABLE_HINT) from error

    def explain(self, response: Response, *, doing: str) -> TargetError:
        """Turn an error answer into an error for people."""
        return explain_refusal(response, doing=doing, base_url=self.base_url)

    async def _send(
        self, method: str, path: str, body: bytes | None, *, token: _Token | None, exporter: bool, retryable: bool
    ) -> Response:
        headers = {"User-Agent": self.identity.exporter_agent if exporter else self.identity.user_agent}
        if token is not None:
            headers["Authorization"] = token.authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            return await self._sender.send(Request(method, self.base_url + path, headers, body, retryable))
        except NoAnswerError as error:
            hint = CERTIFICATE_HINT if error.trouble is Trouble.CERTIFICATE else UNREACHABLE_HINT
            raise TargetUnreachableError(f"Port at {self.base_url}: {error.reason}", hint=hint) from error

    async def _get_token(self, *, rejected: _Token | None = None) -> _Token:
        """Return the token at hand; fetch one when there is none, when it is about to expire, or was rejected."""
        if self._is_good(self._token, rejected):
            return self._token
        async with self._renewal:
            if not self._is_good(self._token, rejected):
                self._token = await self._fetch_token()
            return self._token

    def _is_good(self, token: _Token | None, rejected: _Token | None) -> TypeGuard[_Token]:
        return token is not None and token is not rejected and self._sender.clock.monotonic() < token.good_until

    async def _fetch_token(self) -> _Token:
        body = msgspec.json.encode(self._credentials)
        response = await self._send("POST", "/v1/auth/access_token", body, token=None, exporter=False, retryable=True)
        if not response.ok:
            raise self._explain_no_token(response)
        answer = decode_answer(_token_answers, response, doing="giving out a token")
        margin = min(LONGEST_MARGIN, answer.expires_in * 0.1)
        good_until = self._sender.clock.monotonic() + answer.expires_in - margin
        return _Token(f"{answer.token_type} {answer.access_token}", good_until)

    def _explain_no_token(self, response: Response) -> TargetError:
        if response.status not in (400, 401, 403, 404, 422):
            return self.explain(response, doing="giving out a token")
        if is_no_api(response):
            return TargetRefusedError(f"{self.base_url} answered 404 when asked for a token", hint=NO_API_HINT)
        complaint = read_complaint(response)
        said = complaint.error or complaint.message
        return TargetRefusedError(
            f"Port at {self.base_url} gives no token for this client id and secret: it answered {response.status}"
            + (f" ({said})" if said else ""),
            hint=f"Compare both with those that Port shows under Credentials. {REGION_HINT}",
        )


def _read_base_url(url: str) -> str:
    """Return the address without a slash or the ``/v1`` that all paths of ours begin with."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise SettingsError(
            f"The Port base URL {url.rpartition('@')[2]!r} is no plain HTTP address",
            hint="Write it like https://api.port.io (EU) or https://api.us.port.io (US), without credentials.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"
