"""A ledger that missed what another run wrote, as on a disk that was read-only for a while, is not believed later."""

import tempfile

import pytest
from tests.contract.command import Result, environment_of, finish, start
from tests.contract.harness import SERVICE, SERVICES, component, ref, serve_world


@pytest.mark.parametrize("options", [(), ("--delta",), ("--since-ledger",)], ids=" ".join)
async def test_what_was_written_without_the_ledger_is_noticed_by_its_next_run(options: tuple[str, ...]) -> None:
    """Port was told of the resync in between, and says so; Backstage looks as it did when the ledger was left."""
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        with tempfile.TemporaryDirectory() as folder:

            async def sync(title: str, *words: str, **environment: str) -> Result:
                world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title=title))
                given = {**environment_of(world, folder), **environment}
                result = await finish(await start("sync", *words, environment=given, folder=folder))
                assert result.code == 0, result.err
                return result

            def titles() -> list[str | None]:
                return [one.title for one in world.state.store.entities(SERVICE["identifier"])]

            await sync("before")
            # What a run falls back to where its ledger cannot be written.
            await sync("meanwhile", STAGEPORT_LEDGER="memory")
            assert titles() == ["meanwhile"]
            assert "1 updated" in (await sync("before", *options)).out
            assert titles() == ["before"]
