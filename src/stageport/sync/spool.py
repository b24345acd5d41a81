"""What a pass keeps until its end, on disk once it is much: upserts that have to wait, names of what was written."""

import struct
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from stageport.model.changes import Change, Operation, Refusal
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import Fingerprint, SourceRecord
from stageport.model.refs import SourceRef, TargetKey

IN_MEMORY = 4 * 1024 * 1024
"""Bytes; beyond these a file takes over."""
SIZE: Final = struct.Struct(">I")
"""How long what follows in the file is."""


class Upsert(msgspec.Struct, frozen=True):
    """A change on its way: the fingerprint of its body, to be remembered once Port took it."""

    change: Change
    fingerprint: Fingerprint


class Ticket(NamedTuple):
    """A source entity that waits for an upsert.

    ``takeovers`` counts how often in the pass one was announced anew, or taken back, before this one was announced: of
    two with the same name it tells which is meant. Without ``record``, another ticket or memory has it.
    """

    takeovers: int
    ref: SourceRef
    record: SourceRecord | None


class Held(msgspec.Struct, frozen=True, array_like=True):
    """An upsert that waits, and who waits for it."""

    upsert: Upsert
    tickets: tuple[Ticket, ...] = ()


_decode = msgspec.msgpack.Decoder(Held).decode


class Spool:
    """Holds one upsert for each target entity; a later one takes the place of an earlier one, and over its tickets.

    All of it is in the file: memory knows by a hash what is held, and where. That is some 150 bytes each.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by ``close``
        self._places: dict[Fingerprint, int] = {}

    def __contains__(self, key: object) -> bool:
        return bool(self._places) and isinstance(key, TargetKey) and _digest(key) in self._places

    def __iter__(self) -> Iterator[TargetKey]:
        return (self._read(place).upsert.change.key for place in list(self._places.values()))

    def put(self, upsert: Upsert, *, tickets: Sequence[Ticket] = ()) -> None:
        """Hold an upsert; the fields that differ are for people, and are not kept."""
        key = upsert.change.key
        earlier = self.fetch(key).tickets if key in self else ()
        light = replace(upsert, change=replace(upsert.change, fields=()))
        content = msgspec.msgpack.encode(Held(light, (*earlier, *tickets)))
        self._places[_digest(key)] = self._file.seek(0, 2)
        self._file.write(SIZE.pack(len(content)) + content)

    def fetch(self, key: TargetKey) -> Held:
        """Return an upsert with its body, and who waits for it."""
        return self._read(self._places[_digest(key)])

    def operation(self, key: TargetKey) -> Operation:
        """Return what is to become of a target entity."""
        return self.fetch(key).upsert.change.operation

    def drop(self, key: TargetKey) -> None:
        """Let go of an upsert."""
        del self._places[_digest(key)]

    def close(self) -> None:
        """Delete what is on disk."""
        self._file.close()

    def _read(self, place: int) -> Held:
        self._file.seek(place)
        size: int = SIZE.unpack(self._file.read(SIZE.size))[0]
        return _decode(self._file.read(size))


def _digest(key: TargetKey) -> Fingerprint:
    return digest_of(f"{key.blueprint}\0{key.identifier}".encode())


FINAL_CODES = frozenset(
    {"blueprint_schema_mismatch", "invalid_request", "relation_many_violation", "team_inheritance_enabled", "too_large"}
)
"""What Port says of an entity that no other entity's arrival can mend."""


class RefusedSpool(Spool):
    """Upserts that Port refused, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[TargetKey, Refusal] = {}

    def note(self, upsert: Upsert, refusal: Refusal) -> None:
        """Hold what was refused."""
        self.put(upsert)
        self.refusals[upsert.change.key] = refusal

    def forget(self, key: TargetKey) -> None:
        """Let go of an upsert, if it was refused."""
        if self.refusals.pop(key, None) is not None:
            self.drop(key)

    def worth_another_try(self) -> list[TargetKey]:
        """Name those that Port may take once others are there."""
        return [key for key, refusal in self.refusals.items() if refusal.code not in FINAL_CODES]


class KeyLog:
    """The names of many target entities, those of each blueprint in the order in which they were noted."""

    def __init__(self) -> None:
        self._files: dict[str, tempfile.SpooledTemporaryFile[bytes]] = {}

    def note(self, key: TargetKey) -> None:
        """Add a name."""
        if key.blueprint not in self._files:
            self._files[key.blueprint] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by ``close``
        self._files[key.blueprint].write(msgspec.json.encode(key.identifier) + b"\n")

    def chunks(self, *, size: int) -> Iterator[list[TargetKey]]:
        """Yield all names so many at a time, of one blueprint each time; note none meanwhile."""
        for blueprint, file in self._files.items():
            file.seek(0)
            while lines := list(islice(file, size)):
                yield [TargetKey(blueprint, msgspec.json.decode(line)) for line in lines]
            file.seek(0, 2)

    def close(self) -> None:
        """Delete what is on disk."""
        for file in self._files.values():
            file.close()
