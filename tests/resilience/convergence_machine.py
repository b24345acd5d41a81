"""What may happen to the two catalogs, step by step, and what must hold whatever happened."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.contract.harness import FOREIGN, OURS, TOKEN, Descriptor, described, group
from tests.resilience.convergence_world import BLIND, Ending, Fuse, Lives, Ran
from tests.resilience.mapping_family import Key, Shape, Wanted, difference, related

from stageport.model.hints import Hint
from stageport.model.refs import SourceRef
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.records import EntityKey
from stageport.sync.passes import PassKind

COMPONENTS = ["c0", "c1", "c2", "c3"]
GROUPS = ["g0", "g1", "g2"]
REFS = [*(f"component:default/{name}" for name in COMPONENTS), *(f"group:default/{name}" for name in GROUPS)]
OWN_ETAG = "not-a-hash"

SPECS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["service", "service", "lib", "hidden"]),
        "lifecycle": st.sampled_from(["a", "b", "boom"]),
        "owner": st.sampled_from(["g0", "g1", "g2"]),
    },
    optional={
        "shared": st.sampled_from(["s0", "s1"]),
        "dependsOn": st.lists(st.sampled_from([f"component:{name}" for name in COMPONENTS]), max_size=2, unique=True),
        "broken": st.sampled_from(["selector", "identifier"]),
    },
)
FIELDS = {
    "type": st.sampled_from(["service", "lib", "hidden"]),
    "lifecycle": st.sampled_from(["a", "b"]),
    "owner": st.sampled_from(["g0", "g1", "g2"]),
    "shared": st.sampled_from([None, "s0", "s1"]),
    "dependsOn": st.sampled_from([[], ["component:c0"], ["component:c1", "component:c2"]]),
    "broken": st.sampled_from([None, "selector", "identifier"]),
}
SHAPES = st.builds(
    Shape,
    identifier=st.sampled_from(["ref", "ref", "name", "shared"]),
    life=st.booleans(),
    uses=st.booleans(),
    second=st.sampled_from(["", "", "same", "other", "filtered", "split"]),
    merge=st.sampled_from([True, True, False]),
    create_missing=st.sampled_from([True, True, False]),
    delete_dependents=st.sampled_from([True, True, False]),
    threshold=st.sampled_from([0.9, 0.9, 0.4, 1.0]),
)
CHANGES: dict[str, Any] = {
    "group": st.booleans(),
    "component": st.booleans(),
    "identifier": st.sampled_from(["ref", "name", "shared"]),
    "life": st.booleans(),
    "owner": st.booleans(),
    "uses": st.booleans(),
    "second": st.sampled_from(["", "same", "other", "filtered", "split"]),
    "merge": st.booleans(),
    "create_missing": st.booleans(),
    "delete_dependents": st.booleans(),
}
SERVICE_NAMES = ["component:default/c0", "component:default/c1", "c0", "c1", "s0", "stranger"]
TEAM_NAMES = ["group:default/g0", "group:default/g1", "group:default/g2", "stranger"]
KEYS = st.sampled_from([*(("service", one) for one in SERVICE_NAMES), *(("team", one) for one in TEAM_NAMES)])
KINDS = st.sampled_from([None, None, PassKind.RESYNC, PassKind.DELTA, PassKind.DELTA, PassKind.VERIFY])

EITHER_SIDE = [
    FaultKind.RESET_BEFORE,
    FaultKind.CUT,
    FaultKind.STATUS,
    FaultKind.HTML,
    FaultKind.LATENCY,
    FaultKind.DRIP,
]
SLOWLY: dict[str, Any] = {"delay_ms": 2, "piece": 256}
"""How late an answer comes, or each piece of it."""

PORT_FAULTS = st.builds(
    lambda kind, path, status, seed, after: Fault(
        kind=kind, path=path, status=status, seed=seed, after_handler=after, probability=0.5, times=6, **SLOWLY
    ),
    st.sampled_from([*EITHER_SIDE, FaultKind.RESET_AFTER]),
    st.sampled_from(["/v1/", "/entities/bulk", "/entities/search", "/entities/delete", "/datasource-entities"]),
    st.sampled_from([429, 500, 502, 503, 504]),
    st.integers(0, 99),
    st.booleans(),
)
SOURCE_FAULTS = st.builds(
    lambda kind, path, status, seed, times: Fault(
        kind=kind, path=path, status=status, seed=seed, probability=0.5, times=times, **SLOWLY
    ),
    st.sampled_from([*EITHER_SIDE, FaultKind.CUT_CHUNKED]),
    st.sampled_from(["/api/catalog", "by-query", "by-query.*kind%3Dcomponent", "by-query.*roup", "by-refs"]),
    st.sampled_from([429, 500, 502, 503, 504]),
    st.integers(0, 99),
    st.sampled_from([1, 3, 100]),
)


MOMENTS = st.one_of(
    st.tuples(st.just(""), st.integers(20, 90)),
    st.tuples(st.just("upsert"), st.integers(0, 1)),
    st.tuples(
        st.sampled_from(["upsert", "delete", "acknowledge", "settle_sources", "open_sources"]), st.integers(0, 3)
    ),
)
"""Where a pass ends: after so many calls of whatever seam, or just before or after one that matters."""

ROOMS = st.one_of(st.just(0), st.integers(7, 16).map(lambda pages: pages * 4096))
"""Of these bytes, some are too few to open a ledger of eleven pages, some for what a pass notes in its log."""


@dataclass(frozen=True)
class Mishap:
    """What befalls one pass."""

    name: str = "none"
    fuse: int = 0
    at: str = ""
    seed: int = 0
    room: int | None = None
    """Bytes that the disk under the ledger has for any file; None: enough."""
    faults: tuple[tuple[str, Fault], ...] = ()


def _faults() -> st.SearchStrategy[tuple[tuple[str, Fault], ...]]:
    one = st.one_of(
        st.tuples(st.just("port"), PORT_FAULTS),
        st.tuples(st.just("source"), SOURCE_FAULTS),
    )
    return st.lists(one, min_size=1, max_size=3).map(tuple)


MISHAPS = st.one_of(
    st.just(Mishap()),
    st.builds(Mishap, st.just("crash"), fuse=st.integers(0, 120)),
    st.builds(Mishap, st.just("crash"), fuse=st.integers(20, 70)),
    st.builds(Mishap, st.just("stop"), fuse=st.integers(0, 100)),
    st.builds(Mishap, st.just("faults"), faults=_faults()),
    st.builds(Mishap, st.just("items"), seed=st.integers(0, 99), faults=st.one_of(st.just(()), _faults())),
    st.builds(Mishap, st.just("read-only"), fuse=st.integers(0, 90)),
    st.builds(Mishap, st.just("full"), room=ROOMS),
    st.sampled_from(
        [Mishap(name) for name in ("blind", "reversed", "overlap", "lose", "recreated", "expired", "short count")]
    ),
)


@dataclass
class Past:
    """What has been so far, as far as it bears on what may be."""

    stood_for: dict[str, set[Key]] = field(default_factory=dict)
    """Every target entity that a source entity ever stood for."""
    related_to: dict[str, set[Key]] = field(default_factory=dict)
    """Every target entity that a source entity's ever related to."""
    kind_of: dict[Key, set[str]] = field(default_factory=dict)
    """The kinds that a target entity ever came from."""
    drifted: bool = False
    """Whether somebody changed content at Port since a pass last compared it."""


class Convergence(RuleBasedStateMachine):
    """Two catalogs, passes between them, and everything that may happen to them."""

    def __init__(self, lives: Lives, run: Callable[[Any], Any]) -> None:
        super().__init__()
        self.lives = lives
        self.run = run
        self.shape = Shape()
        self.past = Past()
        self.steps = 0

    # Beginning and end

    @initialize(
        shape=SHAPES,
        components=st.lists(SPECS, max_size=4),
        groups=st.integers(0, 3),
        first=st.booleans(),
    )
    def begin(self, shape: Shape, components: list[dict[str, Any]], groups: int, first: bool) -> None:
        self.shape = shape
        self.lives.begin(shape)
        for name, spec in zip(COMPONENTS, components, strict=False):
            self.catalog.put(self._component(name, spec))
        for name in GROUPS[:groups]:
            self.catalog.put(group(name))
        if first:
            self._sync(kind=None)

    def teardown(self) -> None:
        self.lives.calm()
        self._expect_one_pass_to_do()
        again = [None, PassKind.VERIFY, PassKind.DELTA][self.steps % 3]
        ran = self._sync(kind=again, release=True)
        assert ran.went_through
        journal = self.lives.world.state.journal
        assert ran.writes == 0, (dict(journal.entities), list(journal.arrivals))
        self._expect_agreement()

    # In Backstage

    @rule(name=st.sampled_from(COMPONENTS), spec=SPECS)
    def put_component(self, name: str, spec: dict[str, Any]) -> None:
        self._step()
        self.catalog.put(self._component(name, spec))

    @rule(name=st.sampled_from(COMPONENTS), data=st.data())
    def change_component(self, name: str, data: st.DataObject) -> None:
        self._step()
        ref = f"component:default/{name}"
        if ref not in self.catalog:
            return
        what = data.draw(st.sampled_from(sorted(FIELDS)))
        value = data.draw(FIELDS[what])

        def change(descriptor: Descriptor) -> None:
            descriptor["spec"].pop(what, None)
            if value is not None:
                descriptor["spec"][what] = value

        self.catalog.update(ref, change)

    @rule(name=st.sampled_from(GROUPS), type_=st.sampled_from(["team", "squad"]))
    def put_group(self, name: str, type_: str) -> None:
        self._step()
        self.catalog.put(group(name, type=type_))

    @rule(name=st.sampled_from(REFS))
    def delete_source(self, name: str) -> None:
        self._step()
        if name in self.catalog:
            self.catalog.delete(name)

    @rule(name=st.sampled_from(REFS))
    def recreate_source(self, name: str) -> None:
        self._step()
        if name in self.catalog:
            self.catalog.recreate(name)

    @rule(name=st.sampled_from(COMPONENTS))
    def set_own_etag(self, name: str) -> None:
        self._step()
        ref = f"component:default/{name}"
        if ref in self.catalog:
            self.catalog.update(ref, lambda one: one["metadata"].update(etag=OWN_ETAG))

    @rule()
    def renew_uids(self) -> None:
        self._step()
        self.catalog.renew_uids()

    # At Port

    @rule(key=KEYS, value=st.sampled_from(["drifted", "service"]))
    def change_at_port(self, key: Key, value: str) -> None:
        self._step()
        held = self.lives.world.held().get(key)
        if held is not None:
            self.lives.world.write_as(held["$datasource"], key[0], self._entity(key, type=value))
            self.past.drifted = True

    @rule(key=KEYS)
    def delete_at_port(self, key: Key) -> None:
        self._step()
        held = self.lives.world.held()
        if key not in held:
            return
        # A stub may take its place before anybody misses it, and only who compares contents can tell the two apart.
        ends = [*related(self._wanted().bodies).values(), *map(_held_ends, held.values())]
        self.past.drifted = self.past.drifted or any(key in one for one in ends)
        self.lives.world.state.remove([EntityKey(*key)], delete_dependents=True)

    @rule(key=KEYS, value=st.sampled_from(["theirs", "service", "team"]))
    def take_over(self, key: Key, value: str) -> None:
        self._step()
        self.lives.world.write_as(FOREIGN, key[0], self._entity(key, type=value))

    @rule(name=st.sampled_from(GROUPS))
    def require_a_team(self, name: str) -> None:
        """Somebody else's entity requires a team: whoever deletes that with its dependents deletes this too."""
        self._step()
        team = f"group:default/{name}"
        if ("team", team) in self.lives.world.held():
            self.lives.world.write_as(FOREIGN, "fork", {"identifier": f"fork-{name}", "relations": {"team": team}})

    @rule(key=KEYS)
    def leave_an_orphan(self, key: Key) -> None:
        """An entity that is ours by its datasource, of which no ledger knows."""
        self._step()
        if key not in self.lives.world.held():
            self.lives.world.write_as(OURS, key[0], self._entity(key, type="orphan"))
            self.past.drifted = True

    # The mapping

    @rule(what=st.sampled_from(sorted(CHANGES)), data=st.data())
    def change_mapping(self, what: str, data: st.DataObject) -> None:
        self._step()
        self.change_mapping_to(**{what: data.draw(CHANGES[what])})

    # Passes

    @rule(kind=KINDS, mishap=MISHAPS, page_size=st.sampled_from([1, 2, 500]))
    def sync(self, kind: PassKind | None, mishap: Mishap, page_size: int) -> None:
        self._step()
        self._sync(kind=kind, mishap=mishap, page_size=page_size)

    @rule(kind=KINDS, mishap=MISHAPS, page_size=st.sampled_from([1, 2, 500]))
    def sync_again(self, kind: PassKind | None, mishap: Mishap, page_size: int) -> None:
        self._step()
        self._sync(kind=kind, mishap=mishap, page_size=page_size)

    @rule(kind=KINDS, release=st.booleans())
    def sync_in_peace(self, kind: PassKind | None, release: bool) -> None:
        self._step()
        self._sync(kind=kind, release=release)

    @rule(kind=KINDS, only=st.sampled_from(["component", "group"]))
    def sync_one_kind(self, kind: PassKind | None, only: str) -> None:
        self._step()
        self._sync(kind=kind, kinds=frozenset({only}))

    @rule(refs=st.lists(st.sampled_from(REFS), min_size=1, max_size=4, unique=True), mishap=MISHAPS)
    def sync_as_hinted(self, refs: list[str], mishap: Mishap) -> None:
        self._step()
        hints = tuple(Hint(SourceRef(ref), number, 0.0) for number, ref in enumerate(refs, start=1))
        self._sync(kind=PassKind.HINTED, mishap=mishap, hints=hints)

    @precondition(lambda self: self.steps > 2)
    @rule()
    def lose_ledger(self) -> None:
        self._step()
        self.lives.lose_ledger()

    # What the rules of safety are there for

    @rule(kind=KINDS, only=st.sampled_from(["component", "roup"]), read=st.integers(0, 3), lost=st.booleans())
    def read_incompletely(self, kind: PassKind | None, only: str, read: int, lost: bool) -> None:
        """Rule 1: a kind cannot be read to its end, and perhaps nobody remembers what was there."""
        self._step()
        if lost:
            self.lives.lose_ledger()
        # Only the first page of a kind is asked for by its name; the others are asked for by a cursor.
        path, skip = ("by-query.*cursor", read - 1) if read else (f"by-query.*{only}", 0)
        broken = Fault(kind=FaultKind.STATUS, status=500, body="{}", path=path, skip=skip)
        ran = self._sync(kind=kind, release=True, page_size=1, mishap=Mishap("faults", faults=(("source", broken),)))
        assert ran.went_through or not ran.deleted, "something was deleted after an incomplete read"

    @rule(kind=KINDS, emptied=st.sampled_from(["everything", "component", "group"]))
    def empty_suddenly(self, kind: PassKind | None, emptied: str) -> None:
        """Rule 2: everything, or all of a kind, is gone, or a token is not allowed to see it."""
        self._step()
        self.change_mapping_to(threshold=1.0)
        self._sync(kind=None, release=True)
        if emptied == "everything":
            ran = self._sync(kind=kind, mishap=Mishap("blind"))
            assert not ran.deleted, "something was deleted that the token is not allowed to see"
        for ref in self.catalog.refs():
            if ref.startswith(f"{emptied}:"):
                self.catalog.delete(ref)
        self._sync(kind=kind)

    @rule(kind=KINDS, name=st.sampled_from(COMPONENTS), spec=SPECS)
    def take_over_and_delete(self, kind: PassKind | None, name: str, spec: dict[str, Any]) -> None:
        """Rule 3: somebody else has taken over what we made, and now its source goes."""
        self._step()
        self.catalog.put(self._component(name, spec))
        self._sync(kind=None, release=True)
        ref = f"component:default/{name}"
        for key in self._wanted().origins.get(ref, ()):
            if key in self.lives.world.held():
                self.lives.world.write_as(FOREIGN, key[0], {"identifier": key[1]})
        self.catalog.delete(ref)
        self._sync(kind=kind, release=True)

    @rule(kind=KINDS, left=st.sampled_from(COMPONENTS))
    def lose_most(self, kind: PassKind | None, left: str) -> None:
        """Rule 3: more of ours goes than the threshold allows at once."""
        self._step()
        self.change_mapping_to(threshold=0.4, identifier="ref", component=True)
        for name in COMPONENTS:
            self.catalog.put(self._component(name, {"type": "service", "lifecycle": "a", "owner": "g0"}))
        self._sync(kind=None, release=True)
        for name in COMPONENTS:
            if name != left:
                self.catalog.delete(f"component:default/{name}")
        self._sync(kind=kind)

    @rule(kind=KINDS, broken=st.sampled_from(["selector", "identifier"]), name=st.sampled_from(COMPONENTS))
    def break_the_mapping_of(self, kind: PassKind | None, broken: str, name: str) -> None:
        """Rule 4: what a source entity stood for can no longer be told."""
        self._step()
        ref = f"component:default/{name}"
        if ref in self.catalog:
            self._sync(kind=None, release=True)
            self.catalog.update(ref, lambda one: one["spec"].update(broken=broken))
            self._sync(kind=kind, release=True)

    @rule(kind=KINDS, how=st.sampled_from(["recreated", "slipped"]))
    def recreate_while_it_is_read(self, kind: PassKind | None, how: str) -> None:
        """Rule 5: a scan by cursor misses an entity that is recreated before the cursor came to it."""
        self._step()
        self._sync(kind=None, release=True)
        self._sync(kind=kind, release=True, page_size=1, mishap=Mishap(how))

    @rule(kind=KINDS, name=st.sampled_from(GROUPS), spec=SPECS)
    def delete_an_owner(self, kind: PassKind | None, name: str, spec: dict[str, Any]) -> None:
        """Rule 6: what goes is still related to."""
        self._step()
        self.change_mapping_to(group=True, component=True, owner=True)
        self.catalog.put(group(name))
        self.catalog.put(self._component("c0", {**spec, "owner": name}))
        self._sync(kind=None, release=True)
        self.catalog.delete(f"group:default/{name}")
        self._sync(kind=kind, release=True)

    @rule(moment=MOMENTS, how=st.sampled_from(["crash", "crash", "stop"]), kind=KINDS, spec=SPECS)
    def end_in_the_middle(self, moment: tuple[str, int], how: str, kind: PassKind | None, spec: dict[str, Any]) -> None:
        """Rule 7: a pass ends anywhere, and the next one goes on."""
        self._step()
        self._sync(kind=None, release=True)
        self._put_components(spec)
        at, fuse = moment
        self._sync(kind=kind, release=True, mishap=Mishap(how, fuse=fuse, at=at))
        self._expect_one_pass_to_do()

    @rule(kind=KINDS, spec=SPECS, taken=st.booleans())
    def crash_at_an_update(self, kind: PassKind | None, spec: dict[str, Any], taken: bool) -> None:
        """Rule 7: the process is gone before it hears of an update, whether Port took it or not."""
        self._step()
        self._put_components(_otherwise(spec))
        # After an agreement no pass looks at all that Port holds, which would find what was lost.
        self._expect_one_pass_to_do()
        self._put_components(spec)
        self._sync(kind=kind, release=True, mishap=Mishap("crash", fuse=1 if taken else 0, at="upsert"))
        self._expect_one_pass_to_do()

    # What must hold

    def _sync(
        self,
        *,
        kind: PassKind | None,
        mishap: Mishap = Mishap(),
        release: bool = False,
        kinds: frozenset[str] = frozenset(),
        page_size: int = 2,
        hints: tuple[Hint, ...] = (),
    ) -> Ran:
        self._remember()
        wanted, before = self._wanted(), self.lives.world.held()
        token, fuse = self._prepare(mishap)
        ran = self.run(
            self.lives.sync(
                kind=kind,
                kinds=kinds,
                release=release,
                fuse=fuse,
                page_size=page_size,
                token=token,
                hints=hints,
                room=mishap.room,
            )
        )
        self.lives.calm()
        self._expect_safety(ran, wanted, before, released=release, narrowed=bool(kinds or hints))
        outcome = ran.outcome
        if ran.went_through and outcome is not None and outcome.kind is PassKind.VERIFY and not kinds:
            self.past.drifted = self.past.drifted and token == BLIND
        return ran

    def _prepare(self, mishap: Mishap) -> tuple[str, Fuse]:
        world = self.lives.world
        traps = world.backstage.traps
        for side, fault in mishap.faults:
            (world.port.faults if side == "port" else world.backstage.faults).add(fault)
        traps.reversed_pages = mishap.name == "reversed"
        traps.overlap = 1 if mishap.name == "overlap" else 0
        traps.lose = 1 if mishap.name == "lose" else 0
        traps.count_off_by = 1 if mishap.name == "short count" else 0
        if mishap.name == "recreated":
            traps.before_page = self._recreate
        if mishap.name == "slipped":
            traps.before_page = self._slipper()
        if mishap.name == "expired":
            world.state.expire_tokens()
        if mishap.name == "items":
            self.lives.refuse_items(mishap.seed)
        fuse = Fuse(mishap.fuse, ending=Ending(mishap.name), only=mishap.at) if mishap.name in [*Ending] else Fuse(None)
        return BLIND if mishap.name == "blind" else TOKEN, fuse

    def _recreate(self, page: int) -> None:
        refs = self.catalog.refs()
        if refs and page % 2 == 0:
            self.catalog.recreate(refs[page % len(refs)])

    def _slipper(self) -> Callable[[int], None]:
        """Recreate a component so that it sorts before the cursor, and add one after it, so that the count adds up."""
        requests = self.lives.world.backstage.requests
        begun, new, done = len(requests), "component:default/c3", False

        def slip(_: int) -> None:
            nonlocal done
            order = sorted((one.uid, one.ref) for one in self.catalog if one.kind == "Component")
            if done or len(order) < 3 or new in self.catalog or not any("cursor=" in one for one in requests[begun:]):
                return
            done = True
            while self.catalog.find(order[-1][1]).uid > order[0][0]:
                self.catalog.recreate(order[-1][1])
            while new not in self.catalog or self.catalog.find(new).uid < order[-1][0]:
                self.catalog.put(self._component("c3", {"type": "service", "lifecycle": "a", "owner": "g0"}))
                self.catalog.recreate(new)

        return slip

    def _expect_safety(
        self, ran: Ran, wanted: Wanted, before: dict[Key, Any], *, released: bool, narrowed: bool
    ) -> None:
        counts = dict.fromkeys(self.shape.kinds(), 0)
        for one in self.lives.world.sources():
            counts[one["kind"].lower()] = counts.get(one["kind"].lower(), 0) + 1
        # What a narrowed pass does not read, it knows only as far as it is at Port already.
        ends = set().union(*(found for key, found in related(wanted.bodies).items() if key in before or not narrowed))
        claimed = set().union(*wanted.claims.values())
        for key, datasource in ran.deleted.items():
            assert datasource != FOREIGN, f"{key} is not ours"
            assert key not in wanted.bodies, f"{key} is wanted"
            assert key not in claimed, f"{key} belongs to a source entity whose mapping failed"
            assert key[0] not in wanted.claimed_blueprints, f"{key} may belong to a source entity whose mapping failed"
            if self.shape.create_missing or self.shape.delete_dependents:
                assert key not in ends, f"{key} is still related to"
            kinds = self.past.kind_of.get(key, set())
            if not released and kinds:
                assert any(counts.get(kind) != 0 for kind in kinds), f"{key} went although all of {kinds} is gone"
        if ran.outcome is not None and ran.outcome.plan.failures:
            assert not ran.deleted, "something was deleted although not everything could be read"
        if not released and sum(counts.values()) == 0:
            assert not ran.deleted, "something was deleted although Backstage is empty"
        owned = sum(1 for one in before.values() if one["$datasource"] != FOREIGN)
        if not released:
            assert len(ran.deleted) <= self.shape.threshold * owned, f"{len(ran.deleted)} of {owned} were deleted"

    def _expect_one_pass_to_do(self) -> None:
        """Expect one pass to bring both sides into agreement, whatever was before."""
        kind = PassKind.VERIFY if self.past.drifted else None
        ran = self._sync(kind=kind, release=True)
        assert ran.went_through, (ran.error, ran.outcome and ran.outcome.plan.failures)
        self._expect_agreement()

    def _expect_agreement(self) -> None:
        """Expect Port to hold what the model says, and nothing of ours beyond it without a reason."""
        wanted, held = self._wanted(), self.lives.world.held()
        merge, shape = self.shape.merge, self.shape
        unsure = set() if shape.create_missing else _unsure(wanted)
        for key, body in wanted.bodies.items():
            if key in unsure:
                continue
            assert key in held, f"{key} is missing"
            wrong = difference(key, body, held[key], merge=merge)
            assert not wrong, wrong
        claimed = set().union(*wanted.claims.values())
        claimed |= set().union(*(self.past.stood_for.get(ref, set()) for ref in wanted.claims))
        for key, entity in held.items():
            if entity["$datasource"] == FOREIGN or key in wanted.bodies or key in claimed:
                continue
            if key[0] in wanted.claimed_blueprints:
                continue
            required = any(key in _held_ends(one) for fork, one in held.items() if fork[0] == "fork")
            # What a source entity with a failing mapping relates to is known only to the ledger, if that, and to Port.
            failed_ends = any(key in self.past.related_to.get(ref, ()) for ref in wanted.claims)
            failed_ends = failed_ends or any(key in _held_ends(held[one]) for one in claimed if one in held)
            assert key in wanted.ends or failed_ends or required, f"{key} is left over"

    # Words

    def change_mapping_to(self, **changes: Any) -> None:
        """Edit the mapping at Port."""
        changed = replace(self.shape, **changes)
        if changed != self.shape:
            self._remember()
            self.shape = changed
            self.lives.remap(changed.config())

    @property
    def catalog(self) -> Any:
        return self.lives.world.catalog

    def _step(self) -> None:
        self.steps += 1

    def _wanted(self) -> Wanted:
        return self.shape.wanted(self.lives.world.sources())

    def _remember(self) -> None:
        wanted = self._wanted()
        for ref, ends in wanted.ends_of.items():
            self.past.related_to.setdefault(ref, set()).update(ends)
        for origins in (wanted.origins, wanted.claims):
            for ref, keys in origins.items():
                self.past.stood_for.setdefault(ref, set()).update(keys)
                for key in keys:
                    self.past.kind_of.setdefault(key, set()).add(ref.partition(":")[0])

    def _put_components(self, spec: dict[str, Any]) -> None:
        for name in COMPONENTS[:3]:
            self.catalog.put(self._component(name, spec))

    def _component(self, name: str, spec: dict[str, Any]) -> Descriptor:
        return described("Component", name, **copy.deepcopy(spec))

    def _entity(self, key: Key, **properties: str) -> dict[str, Any]:
        return {"identifier": key[1], "properties": properties}


def _otherwise(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from it in fields that most mappings write."""
    lifecycle, owner = ("b", "g1") if spec["lifecycle"] == "a" else ("a", "g0")
    return {"type": "service", "lifecycle": lifecycle, "owner": owner}


def _unsure(wanted: Wanted) -> set[Key]:
    """Name what Port may refuse: it relates to what nobody wants, or to what may be refused itself."""
    ends, unsure = related(wanted.bodies), set[Key]()
    while True:
        more = {key for key in wanted.bodies if any(end not in wanted.bodies or end in unsure for end in ends[key])}
        if more == unsure:
            return unsure
        unsure = more


def _held_ends(entity: dict[str, Any]) -> set[Key]:
    target = {"owner": "team", "uses": "service", "main": "service", "team": "team"}
    return {
        (target[name], end)
        for name, value in (entity.get("relations") or {}).items()
        for end in (value if isinstance(value, list) else [value])
        if end
    }
