"""What secrets look like, wherever they stand: for everything that is kept or shown to others.

A value too many hidden is a nuisance, one too few a leak.
"""

import re
from typing import Final

MASK: Final = "[REDACTED]"

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


def mask_shapes(text: str) -> str:
    """Mask every part of a text that is shaped like a secret."""
    return _SHAPES.sub(MASK, text)
