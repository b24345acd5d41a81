"""The HTTP client's library, imported without the certificates that it reads then and that are not asked for here.

aiohttp makes two TLS contexts when it is imported, and reads the system's certificate authorities for both: 40 ms of
CPU, a tenth of what a run over an unchanged catalog takes. ``Transport`` makes a context of its own where there is
TLS. Should anything ever use aiohttp's, it would trust nobody.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["aiohttp"]

AUTHORITIES = "SSL_CERT_FILE"
"""OpenSSL's own variable: where it finds certificate authorities."""


@contextmanager
def _without_authorities() -> Generator[None, None, None]:
    before = os.environ.get(AUTHORITIES)
    os.environ[AUTHORITIES] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ[AUTHORITIES]
        else:
            os.environ[AUTHORITIES] = before


with _without_authorities():
    import aiohttp
