"""The pages and the own routes of the Port stand-in."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.contract.port_rig import DATASOURCE, Rig, open_rig

NASTY = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Collects the elements, the links and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not any(name.startswith("on") for name, _value in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        await rig.blueprint(
            properties={"text": {"type": "string"}, "list": {"type": "array"}},
            relations={"to": {"target": "component"}},
        )
        await rig.write(
            {
                "identifier": "component:default/a",
                "title": NASTY,
                "properties": {"text": "javascript:alert(1)", "list": ["https://example.com/x", NASTY]},
                "relations": {"to": "component:default/b"},
            }
        )
        await rig.write({"identifier": "bad", "properties": {"text": 1}})
        registration = {"installationId": "my-backstage", "installationAppType": "backstage", "version": "0.1.0"}
        await rig.ok("POST", "/v1/integration", registration)
        await rig.ok("PATCH", "/v1/integration/my-backstage/resync-state", {"status": "running"})
        yield rig


async def page(rig: Rig, path: str, *, status: int = 200) -> Page:
    async with rig.session.get(rig.running.url + path) as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        text = await answer.text()
    read = Page(text)
    assert "script" not in read.elements
    assert not any(link.startswith("javascript") for link in read.links)
    return read


async def test_the_front_page_tells_what_arrived(rig: Rig) -> None:
    front = await page(rig, "/")
    for words in (
        "component",
        "component:default/a",
        "my-backstage",
        "running",
        DATASOURCE,
        "blueprint_schema_mismatch",
    ):
        assert words in front.words
    assert "/blueprints/component" in front.links
    assert "/blueprints/component/entities/component%3Adefault%2Fa" in front.links


async def test_every_link_leads_somewhere(rig: Rig) -> None:
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        async with rig.session.get(rig.running.url + path) as answer:
            assert answer.status == 200, path
            links = Page(await answer.text()).links if answer.content_type == "text/html" else []
        waiting += [link for link in links if link.startswith("/") and link not in seen and link not in waiting]
    assert {"/_sandbox/style.css", "/blueprints/_team", "/_sandbox/state"} <= seen


async def test_a_page_refreshes_only_when_asked(rig: Rig) -> None:
    async with rig.session.get(f"{rig.running.url}/?live=1") as answer:
        assert 'http-equiv="refresh"' in await answer.text()
    async with rig.session.get(f"{rig.running.url}/") as answer:
        assert 'http-equiv="refresh"' not in await answer.text()


async def test_an_entity_is_shown_with_what_it_relates_to(rig: Rig) -> None:
    shown = await page(rig, "/blueprints/component/entities/component%3Adefault%2Fa")
    assert NASTY in shown.words
    assert "https://example.com/x" in shown.links
    assert "/blueprints/component/entities/component%3Adefault%2Fb" in shown.links
    related = await page(rig, "/blueprints/component/entities/component%3Adefault%2Fb")
    assert "component.to" in related.words


async def test_entities_are_found_by_words_and_listed_in_pages(rig: Rig) -> None:
    for start in range(0, 120, 20):
        await rig.bulk([{"identifier": f"e{number:03}"} for number in range(start, start + 20)])
    first = await page(rig, "/blueprints/component?q=E0")
    assert "e000" in first.words
    assert "component:default/a" not in first.words
    whole = await page(rig, "/blueprints/component")
    (more,) = [link for link in whole.links if link.startswith("?")]
    second = await page(rig, f"/blueprints/component{more}")
    assert "e119" in second.words
    assert "e000" not in second.words


@pytest.mark.parametrize(
    "path", ["/blueprints/none", "/blueprints/none/entities/x", "/blueprints/component/entities/x"]
)
async def test_what_is_not_there(rig: Rig, path: str) -> None:
    assert "Not found" in (await page(rig, path, status=404)).words


async def test_the_state_is_exported_with_datasources(rig: Rig) -> None:
    state = await rig.ok("GET", "/_sandbox/state")
    entities = state["entities"]["component"]
    assert [one["identifier"] for one in entities] == ["component:default/b", "component:default/a"]
    assert {one["$datasource"] for one in entities} == {DATASOURCE}
    assert state["integrations"][0]["resyncState"]["status"] == "running"


async def test_the_stats_count(rig: Rig) -> None:
    stats = await rig.ok("GET", "/_sandbox/stats")
    assert stats["entities"] == {"created": 1, "stub": 1, "refused": 1}
    assert stats["refusals"] == {"blueprint_schema_mismatch": 1}
    assert stats["routes"]["POST /v1/blueprints/{blueprint}/entities"] == 2
    assert stats["stored"] == {"_team": 0, "_user": 0, "component": 2}
    assert stats["crashes"] == 0


async def test_a_reset_forgets_everything_but_what_every_organization_has(rig: Rig) -> None:
    await rig.ok("POST", "/_sandbox/reset")
    state = await rig.ok("GET", "/_sandbox/state")
    assert (list(state["entities"]), state["integrations"]) == (["_team", "_user"], [])
    assert (await rig.ok("GET", "/_sandbox/stats"))["routes"] == {}


async def test_other_sites_cannot_drive_it(rig: Rig) -> None:
    async with rig.session.post(
        f"{rig.running.url}/_sandbox/reset", headers={"Sec-Fetch-Site": "cross-site"}
    ) as answer:
        assert answer.status == 403
    assert "component" in rig.state.blueprints()


async def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    for round_trip in range(2):
        async with open_rig(state_file=tmp_path / "deep" / "port.sqlite") as rig:
            if round_trip == 0:
                await rig.blueprint(relations={"to": {"target": "component"}})
                await rig.write({"identifier": "a", "relations": {"to": "b"}})
                await rig.ok("POST", "/v1/integration", {"installationId": "my-backstage"})
            else:
                assert (await rig.get("a"))["relations"] == {"to": "b"}
                await rig.ok("DELETE", "/v1/blueprints/component/entities/b", query={"delete_dependents": "false"})
                assert (await rig.get("a"))["relations"] == {"to": None}
                assert (await rig.ok("GET", "/v1/integration/my-backstage"))["integration"]["_id"]
                assert "port.sqlite" in " ".join((await page(rig, "/")).words)
