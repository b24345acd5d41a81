import gzip
import zlib

import pytest

from stageport.http.compression import CutShortBodyError, decompress

TEXT = b'{"items":[' + b"1," * 1000 + b"1]}"


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("GZIP ", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("identity", TEXT),
        (None, TEXT),
    ],
    ids=["gzip", "capitals", "zlib", "deflate", "identity", "none"],
)
def test_bodies_come_out_plain(encoding: str | None, body: bytes) -> None:
    assert decompress(body, encoding) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_missing_end_is_noticed(encoding: str) -> None:
    body = gzip.compress(TEXT) if encoding == "gzip" else zlib.compress(TEXT)
    with pytest.raises(CutShortBodyError):
        decompress(body[:-9], encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed_is_noticed(encoding: str) -> None:
    with pytest.raises(CutShortBodyError):
        decompress(b"\xff plain after all", encoding)


def test_an_empty_body_stays_empty() -> None:
    assert decompress(b"", "gzip") == b""
