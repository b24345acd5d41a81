"""Which proxy a request goes through, from the environment that every command-line tool reads."""

from collections.abc import Mapping

SCHEMES = ("http", "https", "all")


def read_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies by scheme (``http``, ``https``, ``all``) and the exceptions (``no``).

    Lower case wins over upper case, as in curl. ``HTTP_PROXY`` in capitals is ignored inside a CGI script, where
    a request could forge it (the "httpoxy" weakness).
    """
    proxies = {}
    for scheme in (*SCHEMES, "no"):
        name = f"{scheme}_proxy"
        forged = name == "http_proxy" and "REQUEST_METHOD" in environment
        value = environment.get(name) or ("" if forged else environment.get(name.upper(), ""))
        if value:
            proxies[scheme] = value
    return proxies if any(scheme in proxies for scheme in SCHEMES) else {}


def find_proxy(proxies: Mapping[str, str], scheme: str, host: str, port: int | None) -> str | None:
    """Return the proxy for this address, None for a direct connection."""
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or _is_excepted(proxies.get("no", ""), host.lower(), port):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_excepted(exceptions: str, host: str, port: int | None) -> bool:
    """Say whether ``NO_PROXY`` names the host: itself, a domain above it, with or without a port, or ``*``."""
    for entry in exceptions.lower().replace(",", " ").split():
        name, _, only_port = entry.removeprefix("*").removeprefix(".").partition(":")
        if entry == "*" or ((host == name or host.endswith(f".{name}")) and only_port in ("", str(port))):
            return True
    return False
