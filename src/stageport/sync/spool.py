"""What a pass keeps until its end, on disk once it is much: upserts that have to wait, names of what was written."""

import tempfile
from collections.abc import Iterator
from itertools import islice

import msgspec
from msgspec.structs import replace

from stageport.model.changes import Change, Operation, Refusal
from stageport.model.ledger import Fingerprint
from stageport.model.refs import TargetKey

IN_MEMORY = 4 * 1024 * 1024
"""Bytes; beyond these a file takes over."""


class Upsert(msgspec.Struct, frozen=True):
    """A change on its way: the fingerprint of its body, to be remembered once Port took it."""

    change: Change
    fingerprint: Fingerprint


class Spool:
    """Holds one upsert for each target entity, its body in the file; a later one takes the place of an earlier one."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by ``close``
        self._held: dict[TargetKey, tuple[Upsert, int, int]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __iter__(self) -> Iterator[TargetKey]:
        return iter(list(self._held))

    def put(self, upsert: Upsert) -> None:
        """Hold an upsert; the fields that differ are for people, and are not kept."""
        body = upsert.change.body
        place = self._file.seek(0, 2)
        self._file.write(body)
        light = replace(upsert, change=replace(upsert.change, body=b"", fields=()))
        self._held[upsert.change.key] = (light, place, len(body))

    def operation(self, key: TargetKey) -> Operation:
        """Return what is to become of a target entity, without reading its body."""
        return self._held[key][0].change.operation

    def read(self, key: TargetKey) -> Upsert:
        """Return an upsert with its body."""
        upsert, place, size = self._held[key]
        self._file.seek(place)
        return replace(upsert, change=replace(upsert.change, body=self._file.read(size)))

    def drop(self, key: TargetKey) -> None:
        """Let go of an upsert."""
        del self._held[key]

    def close(self) -> None:
        """Delete what is on disk."""
        self._file.close()


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
