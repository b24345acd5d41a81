"""Hides secrets in whatever leaves the process in words."""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"
SECRET_WORDS = ("token", "secret", "password", "authorization", "api_key", "apikey", "credential")
SHORTEST_SECRET = 6
"""Shorter values are not replaced by value: they would turn up inside ordinary words."""


class Redactor:
    """Hides secrets in log lines: by value wherever they stand, and by the name of the key."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)

    def text(self, words: str) -> str:
        """Hide every secret value in a text."""
        for secret in self._secrets:
            words = words.replace(secret, HIDDEN)
        return words

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Work as a structlog processor."""
        return {key: self._value(key, value) for key, value in line.items()}

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return HIDDEN if _is_secret_name(key) else self.text(value)
        if isinstance(value, Mapping):
            return {inner: self._value(str(inner), held) for inner, held in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(key, held) for held in value]
        return value


def _is_secret_name(key: str) -> bool:
    return any(word in key.lower().replace("-", "_") for word in SECRET_WORDS)
