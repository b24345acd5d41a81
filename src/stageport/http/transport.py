"""One HTTP client for both sides, on aiohttp: kept-alive connections, compression, proxies, certificates.

Environment that is honoured: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` (either case) for proxies;
``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` in place of the system's certificate authorities (OpenSSL's own variables), and
``REQUESTS_CA_BUNDLE`` (a file or a folder) in addition to them, as the setting ``ca_certificates`` is.
``~/.netrc`` is not read: credentials come from the settings alone.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from yarl import URL

from stageport.http.authorities import load_authorities
from stageport.http.compression import CutShortBodyError, decompress
from stageport.http.library import aiohttp
from stageport.http.messages import NoAnswerError, Request, Response, Trouble
from stageport.http.proxies import find_proxy, read_proxies
from stageport.model.errors import SettingsError

# Node, which Backstage runs on, closes a connection that was idle for 5 s; reusing it in that very moment breaks.
IDLE_SECONDS = 4.0
ACCEPTED = "gzip, deflate"


class Transport:
    """Sends one request at a time or many; each is tried once. Close it, or use it as a context.

    (aiohttp itself repeats a GET, PUT or DELETE once when a kept connection turns out to be closed.)

    ``timeout`` is for a whole request, connecting and reading included. ``verify=False`` trusts any certificate;
    ``strict_certificates=False`` also takes those that stretch RFC 5280 (an old private authority). ``authorities`` are
    files and folders of certificates to trust besides the system's.
    """

    def __init__(
        self,
        *,
        connections: int = 100,
        timeout: float = 60.0,
        verify: bool = True,
        strict_certificates: bool = True,
        authorities: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._proxies = read_proxies(self._environment)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._verify = verify
        self._strict = strict_certificates
        self._authorities = authorities
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request) -> Response:
        """Send a request and read the whole answer; redirects are answers too.

        Raises:
            NoAnswerError: there was no answer, or not the whole of it.
        """
        try:
            return await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError, CutShortBodyError) as error:
            raise _explain(error, self._timeout.total) from error

    async def _exchange(self, request: Request) -> Response:
        session = self._session or self._open()
        url = _read_url(request.url)
        proxy = find_proxy(self._proxies, url.scheme, url.host or "", url.port) if self._proxies else None
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            proxy=proxy,
            ssl=self._trust() if url.scheme == "https" or str(proxy).startswith("https") else True,
        ) as answer:
            body = await answer.read()
            return Response(answer.status, answer.headers, decompress(body, answer.headers.get("Content-Encoding")))

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            headers={"Accept": "application/json", "Accept-Encoding": ACCEPTED},
            cookie_jar=aiohttp.DummyCookieJar(),
            # aiohttp hands every kilobyte of a compressed body to a thread; a whole page at once costs far less.
            auto_decompress=False,
        )
        return self._session

    def _trust(self) -> ssl.SSLContext:
        """Return the certificate authorities; reading them takes longer than a request, so only where there is TLS."""
        if self._context is None:
            self._context = self._make_ssl_context()
        return self._context

    def _make_ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif not self._strict:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        bundle = self._environment.get("REQUESTS_CA_BUNDLE")
        if bundle and self._verify:
            _load_bundle(context, Path(bundle))
        if self._verify:
            load_authorities(context, self._authorities, setting="ca_certificates")
        return context


def _read_url(text: str) -> URL:
    """Take the address as it is: the callers have encoded what needs it."""
    try:
        return URL(text, encoded=True)
    except ValueError as error:
        raise NoAnswerError("that is no HTTP address", trouble=Trouble.BAD_URL) from error


def _load_bundle(context: ssl.SSLContext, bundle: Path) -> None:
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"REQUESTS_CA_BUNDLE names {bundle}, which holds no certificates that can be read ({error})",
            hint="Point it to a PEM file or a folder of hashed certificates, or unset it.",
        ) from error


def _explain(error: Exception, timeout: float | None) -> NoAnswerError:
    for classes, trouble, words in _TROUBLES:
        if isinstance(error, classes):
            return NoAnswerError(words.format(error=error, timeout=timeout, reason=_os_reason(error)), trouble=trouble)
    return NoAnswerError(f"the connection broke ({type(error).__name__})", trouble=Trouble.BROKEN)


# The first that fits counts, so the narrower classes stand first.
_TROUBLES: Final = (
    (aiohttp.ClientConnectorCertificateError, Trouble.CERTIFICATE, "its certificate is not trusted: {reason}"),
    (aiohttp.ClientConnectorSSLError, Trouble.UNREACHABLE, "the TLS connection failed: {reason}"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), Trouble.BAD_URL, "that is no HTTP address"),
    (aiohttp.ClientConnectorDNSError, Trouble.UNREACHABLE, "there is no host {error.host}"),
    (aiohttp.ClientConnectorError, Trouble.UNREACHABLE, "cannot connect to {error.host}:{error.port} ({reason})"),
    (aiohttp.ClientHttpProxyError, Trouble.UNREACHABLE, "the proxy answered {error.status}"),
    (aiohttp.ConnectionTimeoutError, Trouble.UNREACHABLE, "connecting took too long"),
    (TimeoutError, Trouble.TIMEOUT, "no whole answer within {timeout:g} s"),
    ((aiohttp.ClientPayloadError, CutShortBodyError), Trouble.CUT_SHORT, "the answer was cut short"),
)


def _os_reason(error: Exception) -> str:
    """Say what the operating system or OpenSSL said, without our own address and file names around it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or type(error.os_error).__name__
        case _:
            return type(error).__name__
