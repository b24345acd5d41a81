"""Where the catalog of a Backstage backend answers."""

from urllib.parse import quote, urlsplit

from stageport.model.errors import SettingsError

CATALOG_PATH = "/api/catalog"


def catalog_url(url: str) -> str:
    """Return the address of the catalog API for what people write: with a slash at the end, with the path or without.

    Raises:
        SettingsError: it is no HTTP address, or holds credentials (which would end up in messages).
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"The Backstage URL {_without_credentials(url)!r} is no HTTP address",
            hint="Write it like https://backstage.example.com; it is the address of the backend.",
        )
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            "The Backstage URL holds a user name or a password",
            hint="Take it out of the URL and set the Backstage token instead.",
        )
    path = parts.path.rstrip("/")
    if path.endswith("/api"):
        path = path.removesuffix("/api")
    path = path if path.endswith(CATALOG_PATH) else path + CATALOG_PATH
    return f"{parts.scheme}://{parts.netloc}{quote(path, safe='/%:@!$&()*+,;=~')}"


def entity_path(ref: str) -> str:
    """Return the path of one entity: ``/entities/by-name/kind/namespace/name``."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    return "/entities/by-name/" + "/".join(quote(part, safe="") for part in (kind, namespace, name))


def _without_credentials(url: str) -> str:
    return url.rpartition("@")[2]
