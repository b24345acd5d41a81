"""Applies a plan: upserts first, in waves where order matters, then a second try, then the deletes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stageport.model.blueprints import Blueprint
from stageport.model.changes import Change, Operation, Refusal, WriteOptions
from stageport.model.errors import MissingBlueprintError
from stageport.model.events import ApplyStarted, ChangeApplied, ChangeRefused, Listener
from stageport.model.refs import TargetKey
from stageport.plan.order import batches, delete_waves, group_by_blueprint, tied, untie, waves
from stageport.plan.plan import Plan
from stageport.sync.seams import TargetCatalog
from stageport.sync.tasks import run_limited

UPSERT_BATCH = 20
DELETE_BATCH = 100
REQUESTS_AT_ONCE = 16
TRIES_OF_REFUSED = 3

FINAL_CODES = frozenset(
    {"blueprint_schema_mismatch", "invalid_request", "relation_many_violation", "team_inheritance_enabled", "too_large"}
)
"""What Port says of an entity that no other entity's arrival can mend."""


@dataclass(slots=True)
class Applied:
    """What came of a plan."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    refused: list[tuple[Change, Refusal]] = field(default_factory=list)

    @property
    def written(self) -> int:
        """How many changes Port took."""
        return self.created + self.updated + self.deleted


class Application:
    """One application of one plan."""

    def __init__(self, target: TargetCatalog, *, options: WriteOptions, listener: Listener) -> None:
        self._target = target
        self._options = options
        self._listener = listener
        self._refused: dict[TargetKey, tuple[Change, Refusal]] = {}
        self.applied = Applied()

    async def run(self, plan: Plan, blueprints: Mapping[str, Blueprint]) -> Applied:
        """Write everything the plan holds.

        Raises:
            TargetError: Port can no longer be used. What was written stays written, and is counted in ``applied``.
        """
        self._listener(ApplyStarted(len(plan.upserts), len(plan.deletes)))
        await self._upsert_all(plan.upserts, blueprints)
        await self._try_again(blueprints)
        self._settle()
        await self._delete_all(plan)
        return self.applied

    async def _upsert_all(self, changes: Sequence[Change], blueprints: Mapping[str, Blueprint]) -> None:
        if self._options.create_missing_related:
            # Port makes what is missing itself, so order costs nothing to ignore.
            await self._upsert_step(changes)
            return
        created = [change for change in changes if change.operation is Operation.CREATE]
        knot = tied(created, blueprints)
        keys = {change.key for change in knot}
        for step in waves([change for change in created if change.key not in keys], blueprints):
            await self._upsert_step(step)
        # What came of this is not worth hearing: all of it is sent again, whole.
        loose = [untie(change, keys, blueprints) for change in knot]
        await run_limited(self._send, _requests(loose, most=UPSERT_BATCH), limit=REQUESTS_AT_ONCE)
        await self._upsert_step([*knot, *(change for change in changes if change.operation is not Operation.CREATE)])

    async def _try_again(self, blueprints: Mapping[str, Blueprint]) -> None:
        """Send once more, whole and related ones first, what was refused for want of another entity."""
        for _ in range(TRIES_OF_REFUSED):
            open_ones = [change for change, refusal in self._refused.values() if refusal.code not in FINAL_CODES]
            if not open_ones:
                return
            before = len(self._refused)
            knot = tied(open_ones, blueprints)
            keys = {change.key for change in knot}
            for step in (*waves([change for change in open_ones if change.key not in keys], blueprints), knot):
                await self._upsert_step(step)
            if len(self._refused) == before:
                return

    async def _upsert_step(self, step: Sequence[Change]) -> None:
        await run_limited(self._upsert, _requests(step, most=UPSERT_BATCH), limit=REQUESTS_AT_ONCE)

    async def _upsert(self, batch: Sequence[Change]) -> None:
        for change, refusal in zip(batch, await self._send(batch), strict=True):
            if refusal is None:
                self._refused.pop(change.key, None)
                self._took(change)
            else:
                self._refused[change.key] = (change, refusal)

    async def _send(self, batch: Sequence[Change]) -> Sequence[Refusal | None]:
        bodies = [change.body for change in batch]
        try:
            answers = await self._target.upsert(batch[0].blueprint, bodies, options=self._options)
        except MissingBlueprintError as error:
            return [Refusal(404, "not_found", error.message)] * len(batch)
        return [answer.refusal for answer in answers]

    def _took(self, change: Change) -> None:
        # Port may have made it already, as the stub that another one related to: for people it is created here.
        if change.operation is Operation.CREATE:
            self.applied.created += 1
        else:
            self.applied.updated += 1
        self._listener(ChangeApplied(change))

    def _settle(self) -> None:
        for change, refusal in self._refused.values():
            self._refuse(change, refusal)

    def _refuse(self, change: Change, refusal: Refusal) -> None:
        self.applied.refused.append((change, refusal))
        self._listener(ChangeRefused(change, refusal))

    async def _delete_all(self, plan: Plan) -> None:
        # With deleteDependentEntities Port takes dependents along; without, they have to go first.
        whole = self._options.delete_dependents
        steps = [list(plan.deletes)] if whole else delete_waves(plan.deletes, plan.relations)
        for step in steps:
            await run_limited(self._delete, _requests(step, most=DELETE_BATCH), limit=REQUESTS_AT_ONCE)

    async def _delete(self, batch: Sequence[Change]) -> None:
        identifiers = [change.identifier for change in batch]
        answers = await self._target.delete(batch[0].blueprint, identifiers, options=self._options)
        for change in batch:
            refusal = answers[change.identifier].refusal
            if refusal is None:
                self.applied.deleted += 1
                self._listener(ChangeApplied(change))
            else:
                self._refuse(change, refusal)


def _requests(changes: Iterable[Change], *, most: int) -> Iterable[Sequence[Change]]:
    for group in group_by_blueprint(changes).values():
        yield from batches(group, most=most)


async def apply_plan(
    plan: Plan,
    target: TargetCatalog,
    *,
    blueprints: Mapping[str, Blueprint],
    options: WriteOptions,
    listener: Listener,
) -> Applied:
    """Apply a plan; see ``Application.run``."""
    return await Application(target, options=options, listener=listener).run(plan, blueprints)
