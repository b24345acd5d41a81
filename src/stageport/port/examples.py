"""Masks secrets in raw entities before Port shows them as examples to everybody who may edit a mapping.

Structure stays whole, since the examples are there to try expressions on. Masked are the values of keys that name a
secret, and strings shaped like one wherever they stand.
"""

import re
from typing import Final

from stageport.model.entities import Json
from stageport.model.secrets import MASK, mask_shapes

_SECRET_WORDS: Final = (
    "token", "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "signingkey",
    "authorization", "credential", "cookie", "connectionstring", "webhookurl",
)  # fmt: skip


def mask_secrets(example: Json) -> Json:
    """Return a copy in which secrets are masked; keys, lists and their lengths stay."""
    match example:
        case dict():
            return {
                key: _mask_all(value) if _names_secret(key) else mask_secrets(value) for key, value in example.items()
            }
        case list():
            return [mask_secrets(item) for item in example]
        case str():
            return mask_shapes(example)
        case _:
            return example


def _mask_all(value: Json) -> Json:
    """Mask every value under a key that names a secret; true, false and null tell nothing."""
    match value:
        case dict():
            return {key: _mask_all(inner) for key, inner in value.items()}
        case list():
            return [_mask_all(item) for item in value]
        case None | bool() | "":
            return value
        case _:
            return MASK


def _names_secret(key: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return any(word in plain for word in _SECRET_WORDS)
