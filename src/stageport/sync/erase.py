"""Deletes what a plan says, and nothing along with it.

With ``deleteDependentEntities``, Port deletes what requires a deleted entity too, whoever it belongs to. So wherever
some blueprint requires another, deletes are sent without that switch, dependents first: what Port then refuses is
required by somebody who stays. Only stale entities that require each other in a circle are deleted with it, because
there is no other way.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from stageport.model.blueprints import Blueprint
from stageport.model.changes import Change, Refusal, WriteOptions
from stageport.model.entities import Json
from stageport.model.events import ChangeRefused, ChangesApplied, ChangesFound, Listener
from stageport.model.ledger import UNKNOWN, TargetRecord
from stageport.model.refs import TargetKey
from stageport.plan.order import batches, circular, delete_waves, group_by_blueprint
from stageport.plan.plan import Plan
from stageport.sync.seams import Ledger, TargetCatalog
from stageport.sync.surroundings import Ground
from stageport.sync.tasks import run_limited
from stageport.sync.trust import restore_targets
from stageport.sync.write import REQUESTS_AT_ONCE, Applied

DELETE_BATCH = 100


def requiring(blueprints: Mapping[str, Blueprint]) -> frozenset[str]:
    """Name the blueprints that relations of others, or their own, require."""
    return frozenset(
        relation.target
        for blueprint in blueprints.values()
        for relation in blueprint.relations.values()
        if relation.required
    )


async def read_relations(
    target: TargetCatalog, ground: Ground, deletes: Sequence[Change]
) -> dict[TargetKey, tuple[TargetKey, ...]]:
    """Read what doomed target entities relate to, where that decides in which order they can go."""
    whole = ground.document.delete_dependents
    required = requiring(ground.blueprints)
    if not deletes or (whole and not any(change.blueprint in required for change in deletes)):
        return {}
    found: dict[TargetKey, tuple[TargetKey, ...]] = {}
    for name in sorted({change.blueprint for change in deletes}):
        blueprint = ground.blueprints.get(name)
        if blueprint is None:
            continue
        ends = {key: relation.target for key, relation in blueprint.relations.items() if relation.required or not whole}
        paths = [f"relations.{relation}" for relation in ends]
        identifiers = [change.identifier for change in deletes if change.blueprint == name]
        answers = await target.read_entities(name, identifiers, fields=paths)
        for identifier, entity in answers.items():
            found[TargetKey(name, identifier)] = tuple(_related(entity, ends))
    return found


def _related(entity: Json, targets: dict[str, str]) -> Iterable[TargetKey]:
    for name, ends in (entity.get("relations") or {}).items():
        if name in targets:
            names = ends if isinstance(ends, list) else [ends]
            yield from (TargetKey(targets[name], end) for end in names if isinstance(end, str))


class Eraser:
    """Deletes target entities, and counts them in ``applied``; ``required`` are blueprints that others require."""

    def __init__(
        self,
        target: TargetCatalog,
        ledger: Ledger,
        *,
        options: WriteOptions,
        required: frozenset[str],
        applied: Applied,
        listener: Listener,
    ) -> None:
        self._target = target
        self._ledger = ledger
        self._options = options
        self._required = required
        self._applied = applied
        self._listener = listener

    async def erase(self, plan: Plan) -> None:
        """Delete what the plan says."""
        if not plan.deletes:
            return
        self._listener(ChangesFound(len(plan.deletes)))
        careful = replace(self._options, delete_dependents=False)
        whole = self._options.delete_dependents and not any(one.blueprint in self._required for one in plan.deletes)
        left: dict[TargetKey, tuple[Change, Refusal]] = {}
        for step in [list(plan.deletes)] if whole else delete_waves(plan.deletes, plan.relations):
            left.update(await self._delete(step, options=self._options if whole else careful))
        if self._options.delete_dependents:
            left = await self._untie(left, plan.relations)
        for change, refusal in left.values():
            self._applied.refused.append((change, refusal))
            self._listener(ChangeRefused(change, refusal))

    async def _untie(
        self, left: Mapping[TargetKey, tuple[Change, Refusal]], relations: Mapping[TargetKey, Sequence[TargetKey]]
    ) -> dict[TargetKey, tuple[Change, Refusal]]:
        """Delete those that require each other in a circle; then try once more what they required."""
        knot = circular({key: relations.get(key, ()) for key in left})
        if not knot:
            return dict(left)
        changes = {key: change for key, (change, _) in left.items()}
        found = await self._delete([changes[key] for key in changes if key in knot], options=self._options)
        rest = [change for key, change in changes.items() if key not in knot]
        for step in delete_waves(rest, relations):
            found.update(await self._delete(step, options=replace(self._options, delete_dependents=False)))
        return found

    async def _delete(
        self, changes: Sequence[Change], *, options: WriteOptions
    ) -> dict[TargetKey, tuple[Change, Refusal]]:
        """Delete one step; return what Port refused."""
        refused: dict[TargetKey, tuple[Change, Refusal]] = {}

        async def send(batch: Sequence[Change]) -> None:
            refused.update(await self._send(batch, options=options))

        groups = group_by_blueprint(changes).values()
        requests = (batch for group in groups for batch in batches(group, most=DELETE_BATCH))
        await run_limited(send, requests, limit=REQUESTS_AT_ONCE)
        return refused

    async def _send(self, batch: Sequence[Change], *, options: WriteOptions) -> dict[TargetKey, tuple[Change, Refusal]]:
        keys = [change.key for change in batch]
        before = self._ledger.targets(keys)
        # If the process is gone before Port answers, the next one must not think that Port still has them.
        self._ledger.acknowledge([TargetRecord(key, UNKNOWN) for key in keys])
        self._ledger.keep()
        answers = await self._target.delete(
            batch[0].blueprint, [change.identifier for change in batch], options=options
        )
        refused: dict[TargetKey, tuple[Change, Refusal]] = {}
        deleted: list[Change] = []
        for change in batch:
            refusal = answers[change.identifier].refusal
            if refusal is None:
                deleted.append(change)
            else:
                refused[change.key] = (change, refusal)
        self._applied.deleted += len(deleted)
        if deleted:
            self._listener(ChangesApplied(tuple(deleted)))
        self._ledger.drop_targets([key for key in keys if key not in refused])
        restore_targets(self._ledger, list(refused), before)
        return refused
