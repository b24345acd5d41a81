"""Undoes the compression of a body, and notices when a piece of it is missing."""

import zlib

GZIP_OR_ZLIB = 47  # window bits: 32 (find out which) + 15 (the largest window)
RAW_DEFLATE = -15


class CutShortBodyError(Exception):
    """A compressed body that breaks off, or is no compressed body."""


def decompress(body: bytes, encoding: str | None) -> bytes:
    """Return the body without its ``Content-Encoding``; encodings that were not asked for are left as they are."""
    if encoding is None or not body or encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return _inflate(body, GZIP_OR_ZLIB)
    except zlib.error as error:
        # Some servers send "deflate" without the zlib header that RFC 9110 asks for.
        if encoding.strip().lower() != "deflate":
            raise CutShortBodyError(str(error)) from error
    try:
        return _inflate(body, RAW_DEFLATE)
    except zlib.error as error:
        raise CutShortBodyError(str(error)) from error


def _inflate(body: bytes, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    plain = stream.decompress(body) + stream.flush()
    if not stream.eof:
        raise CutShortBodyError("the compressed body breaks off")
    return plain
