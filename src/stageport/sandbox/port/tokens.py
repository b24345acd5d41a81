"""Access tokens: one at a time for the one set of credentials, the same until it expires."""

import hmac
import secrets

from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.problems import PortProblem


class TokenDesk:
    """Hands out tokens and judges them."""

    def __init__(self, options: PortOptions) -> None:
        self._options = options
        self._token = ""
        self._expires = 0.0
        self.issued = 0

    def issue(self, client_id: str, client_secret: str) -> tuple[str, int]:
        """Return the token and the whole seconds it still lives.

        Raises:
            PortProblem: 401, the credentials are wrong.
        """
        right = hmac.compare_digest(client_id.encode(), self._options.client_id.encode())
        right &= hmac.compare_digest(client_secret.encode(), self._options.client_secret.encode())
        if not right:
            raise PortProblem(401, "invalid_credentials", "Invalid client credentials")
        now = self._options.clock()
        # Port keeps one active token for a set of credentials; whoever asks again gets what is left of it.
        if not self._token or now >= self._expires:
            self._token = f"sandbox.{secrets.token_urlsafe(24)}"
            self._expires = now + self._options.token_lifetime
            self.issued += 1
        return self._token, int(self._expires - now)

    def check(self, authorization: str) -> None:
        """Check the Authorization header of a request.

        Raises:
            PortProblem: 401, there is no token, or it is not, or no longer, valid.
        """
        scheme, _, token = authorization.partition(" ")
        known = self._token and hmac.compare_digest(token.strip().encode(), self._token.encode())
        if scheme.lower() != "bearer" or not known or self._options.clock() >= self._expires:
            raise PortProblem(401, "unauthorized", "Missing, invalid or expired access token")

    def expire(self) -> None:
        """Let the token expire now."""
        self._expires = 0.0
