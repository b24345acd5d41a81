import pytest

from stageport.backstage.address import catalog_url, entity_path
from stageport.model.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "catalog"),
    [
        ("http://localhost:7007", "http://localhost:7007/api/catalog"),
        ("http://localhost:7007/", "http://localhost:7007/api/catalog"),
        (" https://backstage.example.com/portal/ ", "https://backstage.example.com/portal/api/catalog"),
        ("https://backstage.example.com/api", "https://backstage.example.com/api/catalog"),
        ("https://backstage.example.com/api/catalog/", "https://backstage.example.com/api/catalog"),
        ("https://backstage.example.com/?x=1#top", "https://backstage.example.com/api/catalog"),
        ("http://[::1]:7007", "http://[::1]:7007/api/catalog"),
    ],
)
def test_the_catalog_is_found_below_what_people_write(url: str, catalog: str) -> None:
    assert catalog_url(url) == catalog


@pytest.mark.parametrize("url", ["", "localhost:7007", "backstage.example.com", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="no HTTP address"):
        catalog_url(url)


@pytest.mark.parametrize("url", ["https://user:hunter2@host", "user:hunter2@host"])
def test_credentials_in_the_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        catalog_url(url)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_the_path_of_an_entity_is_encoded() -> None:
    assert entity_path("component:default/a b?") == "/entities/by-name/component/default/a%20b%3F"
