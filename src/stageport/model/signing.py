"""Standard Webhooks: how a message is signed, and how a signature is checked.

The signature is the HMAC-SHA256, in base64, of ``{id}.{timestamp}.{body}``; the secret is ``whsec_`` and the key in
base64 (https://www.standardwebhooks.com).
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence

PREFIX = "whsec_"
SCHEME = "v1,"
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes, as Standard Webhooks has them."""
MOST_SIGNATURES = 8
"""So many of one message are looked at: more than secrets are ever in use at once, few enough to cost nothing."""

_ID = re.compile(r"[!-\-/-~]{1,128}")
"""Printable ASCII without the full stop, which parts the id from what follows it."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read one secret or several, parted by commas or white space: the new one beside the old one, to change them.

    Raises:
        ValueError: one of them is no secret; the words do not quote it.
    """
    keys = tuple(_parse_key(part) for part in re.split(r"[\s,]+", text) if part)
    if not keys:
        raise ValueError("should be whsec_ and a key in base64")
    return keys


def _parse_key(part: str) -> bytes:
    try:
        key = b64decode(part.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("should be whsec_ and a key in base64") from None
    if not part.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(f"should be whsec_ and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} random bytes")
    return key


def sign(key: bytes, *, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message, as it stands in ``webhook-signature``."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return SCHEME + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def is_signed(keys: Sequence[bytes], given: str, *, message_id: str, timestamp: str, body: bytes) -> bool:
    """Tell whether one of the signatures given, parted by spaces, is that of one of the keys.

    Every comparison takes the same time, and all are made.
    """
    wanted = [sign(key, message_id=message_id, timestamp=timestamp, body=body).encode() for key in keys]
    fits = False
    for signature in given.encode("utf-8", "surrogateescape").split()[:MOST_SIGNATURES]:
        for one in wanted:
            fits |= hmac.compare_digest(signature, one)
    return fits


def is_message_id(text: str) -> bool:
    """Tell whether this may be the id of a message."""
    return _ID.fullmatch(text) is not None


def is_timestamp(text: str) -> bool:
    """Tell whether this may be the time of a message, in whole seconds since the Unix epoch."""
    return _TIMESTAMP.fullmatch(text) is not None
