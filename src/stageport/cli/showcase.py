"""The demo: both stand-ins in this process, and the same passes that ``sync`` runs, between them over HTTP.

What the table at the end claims is looked up in the Port stand-in, entity by entity, not taken from the sync's word.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stageport.cli.passes import kept_words
from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.mapping.document import parse_mapping
from stageport.model.entities import Json
from stageport.model.errors import StageportError
from stageport.model.events import ignore
from stageport.model.exits import Exit
from stageport.plan.plan import Plan
from stageport.plan.render.text import plan_lines, report_lines
from stageport.port.blueprints import PortBlueprints
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.server import RunningPort, serve_port
from stageport.settings import Settings, load_settings
from stageport.sync.service import Outcome, plan_pass, run_pass
from stageport.wiring import open_integration, open_port, open_surroundings, pass_options

TOKEN = "demo-token"  # noqa: S105 - both ends of it are in this process
BLIND_TOKEN = "demo-token-that-may-read-nothing"  # noqa: S105 - as above
EDITED = "component:default/"
DELETED = 1
"""How many entities the demo deletes in Backstage."""
SETS = ("location",)


class Showcase:
    """One demo, from two empty stand-ins to two catalogs that agree, and go on agreeing when one side seems empty.

    ``blind`` are the same settings with a token that may not read entities.
    """

    def __init__(self, backstage: RunningBackstage, port: RunningPort, settings: Settings, blind: Settings) -> None:
        self._backstage = backstage
        self._port = port
        self._settings = settings
        self._blind = blind
        self._console = Console(highlight=False, soft_wrap=True)

    async def run(self) -> None:
        """Show a first sync, one with nothing to do, one after changes, and one that sees nothing of Backstage.

        Raises:
            StageportError: the catalogs do not agree at the end.
        """
        catalog = self._backstage.catalog
        self._say(f"A Backstage with {len(catalog)} sample entities, and an empty Port, both on this machine.")
        added = await self._register(catalog)
        self._say(f"Kinds that the default mapping leaves out are mapped as well: {', '.join(added)}.")
        self._step("1. The first sync")
        self._sum(await self._sync())
        self._compare()
        self._step("2. Again, with nothing changed")
        outcome = await self._sync()
        self._sum(outcome)
        if outcome.applied.written:
            raise StageportError("The second sync found something to write.")
        self._step("3. In Backstage, one entity is renamed, one created, one deleted: the plan, then the sync")
        self._edit(catalog)
        plan = await self._plan()
        for line in plan_lines(plan):
            self._console.print(f"   {line}")
        if (empty := len(plan.deletes) - DELETED) > 0:
            self._say(f"   {empty} of the deletes are empty entities that Port had made because only the deleted one")
            self._say("   named them; Backstage never had them, and nothing relates to them any more.")
        self._sum(await self._sync())
        self._compare()
        self._step("4. The token loses its permission: Backstage answers as if it were empty")
        await self._lose_sight()

    async def _lose_sight(self) -> None:
        """Sync with a token to which the catalog looks empty.

        Raises:
            StageportError: that deleted something.
        """
        before = self._identifiers()
        outcome = await self._sync(self._blind, expected=Exit.HELD)
        for line in report_lines(outcome.plan):
            self._console.print(f"   {line}")
        applied = outcome.applied
        self._say(f"   {applied.written} entities written, {applied.deleted} deleted, {kept_words(outcome.plan)}.")
        self._say(f"   `stageport sync` would end with exit code {outcome.exit.value} ({outcome.exit.name.lower()}).")
        if self._identifiers() != before:
            raise StageportError("Entities were deleted that Backstage still has.")

    async def _register(self, catalog: Catalog) -> list[str]:
        """Register the integration, with a resource more for each kind that the default mapping leaves out.

        Return these kinds.
        """
        document = default_mapping(sets=SETS)
        mapped = {kind.lower() for kind in parse_mapping(document).kinds()}
        own = sorted(kind for kind in catalog.counts() if kind.lower() not in mapped)
        document["resources"] += [_resource(kind) for kind in own]
        async with open_port(self._settings, ignore) as session:
            await open_integration(session, self._settings).create_integration(config=document)
            for blueprint in (*default_blueprints(sets=SETS)[-len(SETS) :], *map(_blueprint, own)):
                await PortBlueprints(session).create_blueprint(blueprint)
        return sorted([*own, *(name.capitalize() for name in SETS)])

    async def _sync(self, settings: Settings | None = None, *, expected: Exit = Exit.OK) -> Outcome:
        chosen = settings or self._settings
        async with open_surroundings(chosen, ignore) as around:
            outcome = await run_pass(around, pass_options(chosen))
        if outcome.exit is not expected:
            raise StageportError(f"The sync ended with exit code {outcome.exit.value} ({outcome.exit.name}).")
        return outcome

    async def _plan(self) -> Plan:
        async with open_surroundings(self._settings, ignore, writes=False) as around:
            plan, _ = await plan_pass(around, pass_options(self._settings))
        return plan

    def _edit(self, catalog: Catalog) -> None:
        components = [ref for ref in catalog.refs() if ref.startswith(EDITED)]
        renamed, gone = components[0], _unrelated(catalog, components[1:])
        catalog.update(renamed, lambda descriptor: descriptor["metadata"].update(title="A new title"))
        catalog.delete(gone)
        catalog.put(
            {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": "brand-new", "description": "Created while you watched."},
                "spec": {"type": "service", "lifecycle": "experimental", "owner": "user:guest"},
            }
        )

    def _sum(self, outcome: Outcome) -> None:
        applied, plan = outcome.applied, outcome.plan
        self._say(
            f"   {applied.created + applied.updated} entities written, {applied.deleted} deleted, "
            f"{plan.unchanged} unchanged, {len(applied.refused)} refused by Port."
        )

    def _compare(self) -> None:
        """Look every sample entity up in Port, and say by kind how many are there.

        Raises:
            StageportError: one is missing.
        """
        there = self._identifiers()
        kinds = Counter[str]()
        found = Counter[str]()
        for entity in self._backstage.catalog:
            kinds[entity.kind] += 1
            found[entity.kind] += entity.ref in there
        table = Table("kind", "in Backstage", "in Port", "", title_justify="left")
        for kind in sorted(kinds):
            mark = "[green]✓[/green]" if kinds[kind] == found[kind] else "[red]✗[/red]"
            table.add_row(kind, str(kinds[kind]), str(found[kind]), mark)
        table.add_section()
        table.add_row("all", str(kinds.total()), str(found.total()))
        self._console.print(table)
        if found != kinds:
            raise StageportError(f"{kinds.total() - found.total()} sample entities did not arrive in Port.")

    def _identifiers(self) -> set[str]:
        state = self._port.state
        return {name for blueprint in state.blueprints() for name in state.entities(blueprint)}

    def _step(self, words: str) -> None:
        self._console.print(f"\n[bold]{words}[/bold]")

    def _say(self, words: str) -> None:
        self._console.print(words, markup=False)


def _unrelated(catalog: Catalog, refs: Iterable[str]) -> str:
    """Pick an entity to which nothing else relates, so that its deletion stands alone."""
    inward = ("apiProvidedBy", "dependencyOf", "hasPart")
    return next(
        ref
        for ref in refs
        if not any(relation["type"] in inward for relation in catalog.entity(ref).get("relations", ()))
    )


def _resource(kind: str) -> Json:
    """Map a kind of one's own: this is all it takes."""
    mappings = {
        "identifier": ".metadata.identifier",
        "title": ".metadata.title // .metadata.name",
        "blueprint": f'"{kind.lower()}"',
        "properties": {"type": ".spec.type", "description": ".metadata.description"},
    }
    return {"kind": kind, "selector": {"query": "true"}, "port": {"entity": {"mappings": mappings}}}


def _blueprint(kind: str) -> Json:
    properties = {"type": {"type": "string", "title": "Type"}, "description": {"type": "string", "format": "markdown"}}
    return {
        "identifier": kind.lower(),
        "title": kind,
        "schema": {"properties": properties, "required": []},
        "relations": {},
    }


async def run_demo(*, keep: bool) -> None:
    """Run the demo; with ``keep``, leave both stand-ins running afterwards, until cancelled.

    Raises:
        StageportError: something did not come out as it should.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stageport-demo-"))
        served = BackstageOptions(token=TOKEN, tokens={BLIND_TOKEN: Access.BLIND})
        backstage = await stack.enter_async_context(serve_backstage(served))
        options = PortOptions()
        port = await stack.enter_async_context(serve_port(options))
        given = {
            "port.base_url": port.url,
            "port.client_id": options.client_id,
            "port.client_secret": options.client_secret,
            "integration.config.backstage_url": backstage.url,
            "integration.config.backstage_token": TOKEN,
            "integration.identifier": "demo",
            "ledger": str(Path(folder, "ledger.sqlite3")),
        }
        # Nothing of the surroundings counts here: no environment, and a folder without files.
        blinded = {**given, "integration.config.backstage_token": BLIND_TOKEN}
        settings, blind = (
            load_settings(each, environ={}, directory=Path(folder)).settings for each in (given, blinded)
        )
        await Showcase(backstage, port, settings, blind).run()
        console = Console(highlight=False, soft_wrap=True)
        if keep:
            await _stay(console, backstage, port)
        else:
            console.print("\nTry `stageport demo --keep` to look around in Port, or `stageport --help`.", markup=False)


async def _stay(console: Console, backstage: RunningBackstage, port: RunningPort) -> None:
    console.print(f"\nPort is at {port.url} (open it in a browser). Ctrl-C ends both stand-ins.")
    console.print(f"Backstage's API is at {backstage.url}/api/catalog, with the token {TOKEN}.")
    await asyncio.Event().wait()
