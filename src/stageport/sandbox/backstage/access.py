"""Who may read: static tokens with and without access restrictions, as ``backend.auth.externalAccess`` makes them."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import assert_never

from stageport.sandbox.backstage.answers import AuthenticationError, JWTExpired, NotAllowedError

_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


class Access(Enum):
    """What a token may do.

    ``FULL``: everything. ``READ_ONLY``: no deletion. ``BLIND``: it is known, but has no permission to read entities:
    the catalog then looks empty, and says 200. ``OTHER_PLUGIN``: it is restricted to another plugin.
    ``EXPIRED``: a legacy token past its time.
    """

    FULL = "full"
    READ_ONLY = "read-only"
    BLIND = "blind"
    OTHER_PLUGIN = "other-plugin"
    EXPIRED = "expired"


class Gate:
    """Lets requests in by their Authorization header; without tokens the door stands open.

    Even then a token that nobody knows is refused, as with ``dangerouslyDisableDefaultAuthPolicy``.
    """

    def __init__(self, tokens: Mapping[str, Access]) -> None:
        self._tokens = dict(tokens)

    def enter(self, header: str | None) -> Access:
        """Return what the bearer may do.

        Raises:
            AuthenticationError: no token where one is needed, or an unknown one.
            NotAllowedError: the token belongs to another plugin.
            JWTExpired: the token has expired.
        """
        matched = _BEARER.fullmatch(header or "")
        if matched is None:
            if self._tokens:
                raise AuthenticationError("Missing credentials")
            return Access.FULL
        access = self._tokens.get(matched.group(1))
        if access is None:
            raise AuthenticationError("Illegal token")
        return _admitted(access)


def _admitted(access: Access) -> Access:
    match access:
        case Access.FULL | Access.READ_ONLY | Access.BLIND:
            return access
        case Access.OTHER_PLUGIN:
            raise NotAllowedError("This token's access is restricted to plugin(s) 'scaffolder'")
        case Access.EXPIRED:
            details = {"code": "ERR_JWT_EXPIRED", "claim": "exp", "reason": "check_failed"}
            raise JWTExpired('"exp" claim timestamp check failed', details=details)
        case unknown:
            assert_never(unknown)
