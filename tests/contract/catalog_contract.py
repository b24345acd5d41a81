"""What a Backstage catalog does, as a suite that the real one and the stand-in run under the same names.

A subclass gives two fixtures: `asked`, a catalog with the descriptors of `catalog.yaml` that no test changes, and
`catalog`, one with the same content that can be changed, by the means of an entity provider.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import pytest
from tests.contract.catalog_asking import MOUNT, Asked, Bearer, Question, contract_descriptors, ref_of
from tests.contract.catalog_questions import QUESTIONS

RECORD = Path(__file__).parent / "recorded_answers.json"

Entity = dict[str, Any]

_EVERYTHING = len(contract_descriptors())
_TYPESETTER = "component:default/typesetter"
_PROOFREADER = "component:default/proofreader"
_FONTS = "component:library/fonts"
_PAGES = "api:default/pages"
_REF = "fields=kind,metadata.namespace,metadata.name"


class ChangeableCatalog(Protocol):
    """A catalog, and the hand of an entity provider on it; a change is visible when the call returns."""

    @property
    def asked(self) -> Asked: ...

    async def put(self, entity: Entity) -> None: ...

    async def delete(self, ref: str) -> None: ...


@cache
def recorded_answers() -> dict[str, Any]:
    """Return what the real Backstage answered to each question."""
    answers: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return answers


def write_recorded_answers(answers: dict[str, Any]) -> None:
    """Keep the answers, one to a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in answers.items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def shown(answer: Any) -> str:
    """Return an answer as text, in which the order of keys counts as well."""
    return json.dumps(answer, indent=1, ensure_ascii=False)


class CatalogContract:
    """The suite. Its name keeps pytest from running it without a catalog."""

    # What it answers

    @pytest.mark.parametrize("question", QUESTIONS, ids=[question.name for question in QUESTIONS])
    async def test_answers_as_recorded(self, asked: Asked, question: Question) -> None:
        recorded = recorded_answers()[question.name]

        assert shown(await asked.answer(question)) == shown(recorded)

    # Paging

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, _EVERYTHING - 1, _EVERYTHING, _EVERYTHING + 1])
    async def test_paging_shows_each_entity_once_at_any_limit(self, asked: Asked, limit: int) -> None:
        pages = await _pages(asked, f"limit={limit}&{_REF}", again=f"limit={limit}&{_REF}")

        refs = [ref_of(entity) for page in pages for entity in page["items"]]
        assert sorted(refs) == sorted(map(ref_of, contract_descriptors()))
        assert {page["totalItems"] for page in pages} == {_EVERYTHING}
        assert [len(page["items"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)

    async def test_a_filter_is_part_of_the_cursor(self, asked: Asked) -> None:
        pages = await _pages(asked, f"limit=2&{_REF}&filter=kind=component", again=f"limit=2&{_REF}&filter=kind=api")

        assert {entity["kind"] for page in pages for entity in page["items"]} == {"Component"}

    async def test_limit_and_fields_are_not_part_of_the_cursor(self, asked: Asked) -> None:
        first, rest = await _pages(asked, f"limit=3&{_REF}", again="")

        assert len(first["items"]) == 3
        assert len(rest["items"]) == _EVERYTHING - 3
        assert all("spec" in entity or entity["metadata"]["name"] == "drafts" for entity in rest["items"])

    async def test_an_order_holds_over_all_pages(self, asked: Asked) -> None:
        pages = await _pages(asked, f"limit=4&orderField=metadata.name,desc&{_REF}", again=f"limit=4&{_REF}")

        names = [entity["metadata"]["name"].lower() for page in pages for entity in page["items"]]
        assert names == sorted(names, reverse=True)
        assert len(names) == _EVERYTHING

    @pytest.mark.parametrize("order", ["", "&orderField=metadata.name,asc", "&orderField=metadata.name,desc"])
    async def test_the_previous_page_is_the_one_before(self, asked: Asked, order: str) -> None:
        first, second, *_ = await _pages(asked, f"limit=4&{_REF}{order}", again=f"limit=4&{_REF}")

        back = await _page(asked, f"limit=4&{_REF}", cursor=second["pageInfo"]["prevCursor"])

        assert back["items"] == first["items"]
        assert "prevCursor" not in first["pageInfo"]

    async def test_an_order_without_a_direction_makes_a_cursor_that_is_refused(self, asked: Asked) -> None:
        first = await _page(asked, f"limit=4&orderField=metadata.name&{_REF}")

        cursor = quote(first["pageInfo"]["nextCursor"], safe="")
        answer = await asked.answer(Question(name="", path=f"/entities/by-query?cursor={cursor}"))

        assert answer["status"] == 400
        assert answer["body"]["error"]["message"].startswith("Malformed cursor: ")

    async def test_a_cursor_outlives_the_entity_it_points_at(self, catalog: ChangeableCatalog) -> None:
        first = await _page(catalog.asked, f"limit=5&{_REF}")

        await catalog.delete(ref_of(first["items"][-1]))

        rest = await _page(catalog.asked, f"limit=500&{_REF}", cursor=first["pageInfo"]["nextCursor"])
        assert len(rest["items"]) == _EVERYTHING - 5
        assert rest["totalItems"] == _EVERYTHING  # carried along from the first page

    async def test_entities_are_listed_by_uid(self, asked: Asked) -> None:
        page = await _page(asked, "")

        uids = [entity["metadata"]["uid"] for entity in page["items"]]
        assert uids == sorted(uids)

    async def test_a_projected_answer_is_known_again(self, asked: Asked) -> None:
        url = f"{asked.url}{MOUNT}/entities/by-query?{_REF}"
        headers = {"Authorization": f"Bearer {asked.tokens[Bearer.FULL]}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(url) as first:
                etag = first.headers["ETag"]
            async with session.get(url, headers={"If-None-Match": etag}) as second:
                assert (second.status, await second.read()) == (304, b"")

    # What changes, and what does not

    async def test_putting_the_same_again_changes_nothing(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        for descriptor in contract_descriptors():
            await catalog.put(descriptor)

        assert await _everything(catalog.asked) == before

    async def test_the_order_of_references_changes_nothing(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_changed(_TYPESETTER, lambda entity: entity["spec"]["dependsOn"].reverse()))

        assert await _everything(catalog.asked) == before

    async def test_a_change_renews_the_etag_and_keeps_the_uid(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_changed(_PROOFREADER, lambda entity: entity["metadata"].update(title="New")))

        after = await _everything(catalog.asked)
        assert _renewed(before, after) == {_PROOFREADER}
        assert _uids(before) == _uids(after)

    async def test_a_new_owner_renews_both_owners_as_well(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_changed(_PAGES, lambda entity: entity["spec"].update(owner="workshop/printers")))

        after = await _everything(catalog.asked)
        assert _renewed(before, after) == {_PAGES, "group:default/editors", "group:workshop/printers"}
        assert {"type": "ownerOf", "targetRef": _PAGES} in after["group:workshop/printers"]["relations"]
        assert {"type": "ownerOf", "targetRef": _PAGES} not in after["group:default/editors"]["relations"]

    async def test_a_missing_target_that_comes_renews_nobody(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)
        assert {"type": "ownedBy", "targetRef": "group:default/gone-since-long"} in before[_FONTS]["relations"]

        await catalog.put(_named("group:default/press", "gone-since-long", parent=None, children=[]))

        after = await _everything(catalog.asked)
        assert _renewed(before, after) == {"group:default/gone-since-long"}
        assert {"type": "ownerOf", "targetRef": _FONTS} in after["group:default/gone-since-long"]["relations"]

    async def test_a_deleted_entity_takes_only_its_own_relations_along(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.delete(_PROOFREADER)

        after = await _everything(catalog.asked)
        assert before.keys() - after.keys() == {_PROOFREADER}
        typesetter = after[_TYPESETTER]["relations"]
        assert {"type": "dependsOn", "targetRef": _PROOFREADER} in typesetter
        assert {"type": "dependencyOf", "targetRef": _PROOFREADER} not in typesetter

    async def test_a_recreated_entity_is_another_one(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.delete("resource:default/shelf")
        await catalog.put(_changed("resource:default/shelf", lambda entity: None))

        after = await _everything(catalog.asked)
        assert _renewed(before, after) == {"resource:default/shelf"}
        assert _uids(before)["resource:default/shelf"] != _uids(after)["resource:default/shelf"]

    async def test_an_etag_of_the_source_hides_changes(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_changed(_FONTS, lambda entity: entity["spec"].update(lifecycle="retired")))

        after = await _everything(catalog.asked)
        assert after[_FONTS]["spec"]["lifecycle"] == "retired"
        assert _renewed(before, after) == set()

    async def test_a_broken_update_leaves_the_last_good_version_with_an_error(self, catalog: ChangeableCatalog) -> None:
        before = (await _everything(catalog.asked))[_PROOFREADER]

        await catalog.put(_changed(_PROOFREADER, lambda entity: entity["spec"].pop("lifecycle")))

        after = (await _everything(catalog.asked))[_PROOFREADER]
        (item,) = after.pop("status")["items"]
        assert {**after, "metadata": {**after["metadata"], "etag": ""}} == {
            **before,
            "metadata": {**before["metadata"], "etag": ""},
        }
        assert after["metadata"]["etag"] != before["metadata"]["etag"]
        assert (item["type"], item["level"]) == ("backstage.io/catalog-processing", "error")
        assert item["message"].startswith("InputError: ")
        assert "lifecycle" in item["message"]
        assert item["error"]["name"] == "InputError"

    async def test_a_mended_entity_loses_its_error(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_changed(_PROOFREADER, lambda entity: entity["spec"].pop("lifecycle")))
        await catalog.put(_changed(_PROOFREADER, lambda entity: None))

        assert await _everything(catalog.asked) == before

    @pytest.mark.parametrize(
        ("ref", "name", "change"),
        [
            (_PROOFREADER, "no-owner", {"owner": None}),
            (_PROOFREADER, "empty-owner", {"owner": ""}),
            ("group:default/press", "no-children", {"children": None}),
            ("user:default/no-profile", "no-groups", {"memberOf": None}),
            (_PAGES, "no-definition", {"definition": None}),
            (_PROOFREADER, "not/a/name", {}),
            (_PROOFREADER, "x" * 64, {}),
            (_PROOFREADER, "-dash", {}),
            (_PROOFREADER, "no-kind", {"dependsOn": ["no-kind"]}),
            (_PROOFREADER, "no-list", {"dependsOn": "component:x"}),
            (_PROOFREADER, "no-ref", {"owner": "group:"}),
            ("group:default/press", "no-text", {"profile": {"email": 1}}),
            ("template:default/new-book", "no-action", {"steps": [{"id": "x"}]}),
            ("location:default/shelves", "no-url", {"type": "github-discovery"}),
        ],
    )
    async def test_a_new_entity_that_is_wrong_is_absent(
        self, catalog: ChangeableCatalog, ref: str, name: str, change: Entity
    ) -> None:
        before = await _everything(catalog.asked)

        await catalog.put(_named(ref, name, **change))

        assert await _everything(catalog.asked) == before

    async def test_an_entity_can_be_deleted_by_its_uid(self, catalog: ChangeableCatalog) -> None:
        before = await _everything(catalog.asked)
        uid = _uids(before)["component:default/beta-version"]

        answer = await catalog.asked.answer(Question(name="", path=f"/entities/by-uid/{uid}", method="DELETE"))

        assert answer["status"] == 204
        assert before.keys() - (await _everything(catalog.asked)).keys() == {"component:default/beta-version"}


async def _page(asked: Asked, query: str, *, cursor: str | None = None) -> Any:
    place = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
    return await asked.json(f"/entities/by-query?{query}{place}".replace("?&", "?"))


async def _pages(asked: Asked, query: str, *, again: str) -> list[Any]:
    pages = [await _page(asked, query)]
    while "nextCursor" in pages[-1]["pageInfo"]:
        pages.append(await _page(asked, again, cursor=pages[-1]["pageInfo"]["nextCursor"]))
    return pages


async def _everything(asked: Asked) -> dict[str, Entity]:
    page = await _page(asked, "limit=500")
    return {ref_of(entity): entity for entity in page["items"]}


def _changed(ref: str, change: Any) -> Entity:
    entity = copy.deepcopy(next(entity for entity in contract_descriptors() if ref_of(entity) == ref))
    change(entity)
    return entity


def _named(like: str, name: str, **spec: Any) -> Entity:
    def change(entity: Entity) -> None:
        entity["metadata"]["name"] = name
        entity["spec"] = {key: value for key, value in {**entity["spec"], **spec}.items() if value is not None}

    return _changed(like, change)


def _uids(entities: dict[str, Entity]) -> dict[str, str]:
    return {ref: entity["metadata"]["uid"] for ref, entity in entities.items()}


def _renewed(before: dict[str, Entity], after: dict[str, Entity]) -> set[str]:
    """Return whose etag is new, or that are new themselves."""
    etags = {ref: entity["metadata"]["etag"] for ref, entity in before.items()}
    return {ref for ref, entity in after.items() if entity["metadata"]["etag"] != etags.get(ref)}
