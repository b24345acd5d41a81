"""Masks secrets in raw entities before Port shows them as examples to everybody who may edit a mapping.

Structure stays whole, since the examples are there to try expressions on. Masked are the values of keys that name a
secret, and strings shaped like one wherever they stand. A value too many is a nuisance, one too few a leak.
"""

import re
from typing import Final

from stageport.model.entities import Json

MASK: Final = "[REDACTED]"

_SECRET_WORDS: Final = (
    "token", "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "signingkey",
    "authorization", "credential", "cookie", "connectionstring", "webhookurl",
)  # fmt: skip

_SHAPES: Final = re.compile(
    r"""
      eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*                      # JSON Web Tokens
    | \b(?:gh[pousr]|github_pat)_\w{20,}                        # GitHub
    | \bglpat-[\w-]{16,}                                        # GitLab
    | \bxox[abeoprs]-[\w-]{10,}                                 # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                             # AWS
    | \bsk-[A-Za-z0-9_-]{20,} | \b[rs]k_(?:live|test)_\w{10,}   # OpenAI, Stripe
    | \bAIza[\w-]{30,}                                          # Google
    | \bnpm_\w{30,} | \bpypi-[\w-]{30,}
    | (?<=[Bb]earer\s)[\w.~+/=-]{8,} | (?<=[Bb]asic\s)[\w+/=]{8,}
    | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----[^-]*(?:-----END[ A-Z]*PRIVATE[ ]KEY-----)?
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)                           # https://user:password@host
    """,
    re.VERBOSE,
)


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
            return _SHAPES.sub(MASK, example)
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
