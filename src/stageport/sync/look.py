"""Looks at what Port holds: whether it moved since it was last seen, and where it differs from what is wanted."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

import msgspec

from stageport.mapping.static import paths_written
from stageport.model.changes import FieldChange
from stageport.model.entities import Json
from stageport.model.errors import MissingBlueprintError
from stageport.model.fingerprint import StoredFields, stored_fingerprint
from stageport.model.ledger import SEARCHED, UNKNOWN, Fingerprint, TargetRecord
from stageport.model.refs import TargetKey, by_blueprint
from stageport.plan.decide import Sight
from stageport.plan.diff import diff_target
from stageport.sync.seams import Ledger, TargetCatalog
from stageport.sync.spool import KeyLog
from stageport.sync.surroundings import Ground
from stageport.sync.tasks import run_limited

READS_AT_ONCE = 4
READ_BACK = 500
READS_BACK_AT_ONCE = 5

Seen = tuple[Sight, tuple[FieldChange, ...], Fingerprint]
"""What was seen of a target entity, where it differs, and the fingerprint of what Port holds."""

NOTHING_SEEN: Seen = (Sight.UNSEEN, (), UNKNOWN)


class Looker:
    """Reads target entities by name, with the fields that the mapping writes.

    ``empty`` are blueprints of which Port held nothing when the pass began: what the ledger says of theirs is all
    there is to know. ``searches_again``: what Port found by a query counts as moved, because it may find something else
    by now, and does so only when the entity is written.
    """

    def __init__(
        self,
        target: TargetCatalog,
        ground: Ground,
        ledger: Ledger,
        *,
        empty: Collection[str] = frozenset(),
        searches_again: bool = False,
    ) -> None:
        self._target = target
        self._ground = ground
        self._ledger = ledger
        self._empty = empty
        self._searches_again = searches_again
        self._fields: dict[str, StoredFields] = {}
        self._paths: dict[str, list[str]] = {}

    async def unmoved(self, keys: Collection[TargetKey]) -> set[TargetKey]:
        """Return those keys whose content at Port is as it was last seen."""
        known = self._ledger.targets(list(keys))
        current = await self._read(keys)
        return {
            key
            for key, record in known.items()
            if key in current and self._is_unmoved(record, self._stored(key, current[key]))
        }

    async def present(self, keys: Collection[TargetKey]) -> set[TargetKey]:
        """Return those keys that Port has, whosever they are."""
        return set(await self._read(keys))

    async def compare(self, wanted: Mapping[TargetKey, bytes]) -> Mapping[TargetKey, Seen]:
        """Compare bodies with what Port holds of the same name."""
        seen: dict[TargetKey, Seen] = dict.fromkeys(wanted, NOTHING_SEEN)
        looked = {key: body for key, body in wanted.items() if key.blueprint not in self._empty}
        current = await self._read(looked)
        known = self._ledger.targets(list(current))
        seen.update((key, self._compare(key, body, current.get(key), known.get(key))) for key, body in looked.items())
        return seen

    async def read_back(self, written: KeyLog, *, searched: bool = False) -> None:
        """Read back what was written, so that the next pass knows what Port made of it; ``searched``: by a query."""
        mark = SEARCHED if searched else b""

        async def note(keys: Collection[TargetKey]) -> None:
            current = await self._read(keys)
            self._ledger.note_stored({key: self._stored(key, entity) + mark for key, entity in current.items()})

        await run_limited(note, written.chunks(size=READ_BACK), limit=READS_BACK_AT_ONCE)

    def _is_unmoved(self, record: TargetRecord, stored: Fingerprint) -> bool:
        return record.stored == stored or (record.stored == stored + SEARCHED and not self._searches_again)

    def _compare(self, key: TargetKey, body: bytes, current: Json | None, record: TargetRecord | None) -> Seen:
        if current is None:
            return Sight.ABSENT, (), UNKNOWN
        blueprint = self._ground.blueprints.get(key.blueprint)
        fields = diff_target(msgspec.json.decode(body), current, blueprint=blueprint, merge=self._ground.document.merge)
        stored = self._stored(key, current)
        if not fields:
            return Sight.EQUAL, (), stored
        if record is not None and self._is_unmoved(record, stored):
            return Sight.UNMOVED, fields, stored
        return (Sight.BARE if self._is_bare(key, current) else Sight.MOVED), fields, stored

    def _is_bare(self, key: TargetKey, current: Json) -> bool:
        # An entity without a title is shown, and by some routes returned, under its identifier.
        shown = {**current, "title": None} if current.get("title") == key.identifier else current
        return self._stored(key, shown) == self._stored(key, {})

    def _stored(self, key: TargetKey, current: Json) -> Fingerprint:
        name = key.blueprint
        if name not in self._fields:
            self._fields[name] = StoredFields.of(self._read_paths(name))
        return stored_fingerprint(current, self._fields[name])

    async def _read(self, keys: Iterable[TargetKey]) -> dict[TargetKey, Json]:
        found: dict[TargetKey, Json] = {}

        async def read(group: tuple[str, list[str]]) -> None:
            name, identifiers = group
            with suppress(MissingBlueprintError):
                answers = await self._target.read_entities(name, identifiers, fields=self._read_paths(name))
                found.update((TargetKey(name, identifier), entity) for identifier, entity in answers.items())

        groups = [group for group in by_blueprint(keys).items() if self._can_be_asked(group[0])]
        await run_limited(read, groups, limit=READS_AT_ONCE)
        return found

    def _can_be_asked(self, name: str) -> bool:
        return name in self._ground.blueprints and name not in self._ground.coming

    def _read_paths(self, name: str) -> list[str]:
        """Name the fields to read: those the mapping writes; without merge all, because Port drops the others."""
        if name not in self._paths:
            paths = set(paths_written(self._ground.document, name))
            blueprint = self._ground.blueprints.get(name)
            if blueprint is not None and not self._ground.document.merge:
                paths.update(f"properties.{key}" for key in blueprint.properties)
                paths.update(f"relations.{key}" for key in blueprint.relations)
            self._paths[name] = sorted(paths)
        return self._paths[name]
