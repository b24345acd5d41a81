"""Where an entity comes from: the annotations that Backstage derives from the location it was read at."""

import re
from urllib.parse import urljoin, urlsplit

from stageport.model.entities import Json

LOCATION = "backstage.io/managed-by-location"
ORIGIN = "backstage.io/managed-by-origin-location"
NOWHERE = "file:/sandbox/catalog-info.yaml"
"""The location of an entity that names none: the real catalog takes none without."""

_VIEW_URL = "backstage.io/view-url"
_EDIT_URL = "backstage.io/edit-url"
_SOURCE = "backstage.io/source-location"
_COMMIT = re.compile(r"\b[0-9a-f]{40,}\b")
_GITHUB_TYPE = re.compile(r"(//[^/]+/[^/]+/[^/]+/)(?:blob|tree|edit)/")
_GITLAB_TYPE = re.compile(r"/-/(?:blob|tree|edit)/")
_SCRIPT = re.compile(r"[\x00-\x1f ]*" + r"[\r\n\t]*".join("javascript:"), re.IGNORECASE)
_DEFUSED = "https://backstage.io/annotation-rejected-for-security-reasons"


def location_annotations(location: Json, *, origin: Json) -> dict[str, Json]:
    """Return the annotations for a location, in the order in which Backstage adds them.

    Of the hosts that Backstage knows by itself, GitHub and GitLab are known here; any other has no place to edit.
    """
    made = {LOCATION: location, ORIGIN: origin}
    if not isinstance(location, str) or not location.startswith("url:"):
        return made
    url = location.removeprefix("url:")
    made[_VIEW_URL] = url
    host = urlsplit(url).hostname
    if host not in ("github.com", "gitlab.com"):
        return made
    if not _COMMIT.search(url):
        made[_EDIT_URL] = _typed(url, "edit", host=host)
    source = urljoin(url, "./")
    made[_SOURCE] = f"url:{_typed(source, 'tree', host=host) if host == 'github.com' else source}"
    return made


def _typed(url: str, kind: str, *, host: str) -> str:
    if host == "github.com":
        return _GITHUB_TYPE.sub(rf"\g<1>{kind}/", url, count=1)
    return _GITLAB_TYPE.sub(f"/-/{kind}/", url, count=1)


def defuse_scripts(annotations: dict[str, Json]) -> None:
    """Replace links that would run a script in the browser of whoever follows them, as stitching does."""
    for name in (_VIEW_URL, _EDIT_URL):
        value = annotations.get(name)
        if isinstance(value, str) and _SCRIPT.match(value):
            annotations[name] = _DEFUSED
