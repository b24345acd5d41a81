"""What expressions take in: a source entity with its ref, or a copy of it for one of its items."""

from typing import Final

from stageport.mapping.program import jq_text
from stageport.mapping.translation.json_text import read_json
from stageport.mapping.translation.values import Unproven, Value

_UNREAD: Final = object()
UNREADABLE: Final = object()


class Item:
    """One input, in the two forms that the two engines want; each is made when it is first asked for."""

    __slots__ = ("_raw", "_ref", "_text", "_value")

    def __init__(self, raw: str, *, ref: str | None = None) -> None:
        self._raw = raw
        self._ref = ref
        self._text: str | None = None
        self._value: Value = _UNREAD

    @property
    def text(self) -> str:
        """What jq programs read: the item itself, or a source entity together with its ref."""
        if self._text is None:
            wrapped = self._ref is not None
            self._text = f'{{"id":{jq_text(self._ref or "")},"e":{self._raw}}}' if wrapped else self._raw
        return self._text

    @property
    def value(self) -> Value:
        """What translated expressions see.

        Raises:
            Unproven: jq has to read it.
        """
        value = self.value_if_read()
        if value is UNREADABLE:
            raise Unproven
        return value

    def value_if_read(self) -> Value:
        """Return the same, or what no function can make anything of."""
        if self._value is _UNREAD:
            self._value = self._read()
        return self._value

    def _read(self) -> Value:
        try:
            value = read_json(self._raw)
        except Unproven:
            return UNREADABLE
        if self._ref is None:
            return value
        metadata = value.get("metadata") if type(value) is dict else None
        if type(metadata) is not dict:
            return UNREADABLE
        metadata["identifier"] = self._ref
        return value
