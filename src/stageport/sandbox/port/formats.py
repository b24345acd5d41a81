"""The formats of string properties, as strictly as a JSON Schema validator reads them.

Where nobody outside Port knows how strict Port is, :class:`~stageport.sandbox.port.options.Leniency` decides.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit

import yaml

from stageport.sandbox.port.options import Leniency

FormatCheck = Callable[[str], bool]

_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-](\d{2}):?(\d{2}))", re.ASCII
)
_LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.IGNORECASE)
_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_PROTO = re.compile(r"^\s*(?:syntax|edition|package|import|option|message|enum|service|extend)\b", re.MULTILINE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)


def format_checks(leniency: Leniency, *, team_exists: Callable[[str], bool]) -> Mapping[str, FormatCheck]:
    """Return a check for each format; a format that is not named here takes any text (``markdown``)."""
    checks: dict[str, FormatCheck] = {
        "date-time": is_date_time,
        "url": is_any_url if leniency.any_url else is_url,
        "email": is_email,
        "idn-email": is_international_email,
        "ipv4": is_ipv4,
        "ipv6": is_ipv6,
    }
    if not leniency.free_text_formats:
        checks |= {
            "yaml": is_yaml,
            "proto": is_proto,
            "user": is_email,
            "team": team_exists,
            "timer": is_date_time,
        }
    return checks


def is_date_time(text: str) -> bool:
    """RFC 3339: a date of the calendar, a time of day, and an offset."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return False
    day, hour, minute, second, offset_hour, offset_minute = match.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return False
    if offset_hour is not None and (int(offset_hour) > 23 or int(offset_minute) > 59):
        return False
    return _is_day(day)


def _is_day(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_email(text: str) -> bool:
    """An address of one local part and a domain with a dot."""
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        bool(at)
        and _LOCAL_PART.fullmatch(local) is not None
        and len(labels) > 1
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
    )


def is_international_email(text: str) -> bool:
    """The same, with letters of any script."""
    local, at, domain = text.rpartition("@")
    return bool(at and local) and not any(map(str.isspace, text)) and all(domain.split(".")) and "@" not in local


def is_url(text: str) -> bool:
    """http, https or ftp to a name with a dot or to a public IPv4 address; no white space anywhere."""
    if not text or text.split(maxsplit=1) != [text]:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme.lower() not in {"http", "https", "ftp"} or (port is not None and port < 10):
        return False
    return _is_public_host(parts.hostname or "")


@lru_cache(maxsize=1024)  # a catalog's links lead to the same few hosts
def _is_public_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_domain(host)
    return address.version == 4 and not (address.is_private or address.is_loopback or address.is_multicast)


def _is_domain(host: str) -> bool:
    *labels, top = host.split(".")
    if not labels or len(top) < 2 or not all(character.isalpha() or ord(character) > 0xA0 for character in top):
        return False
    return all(_is_label(label) for label in labels)


def _is_label(label: str) -> bool:
    inside = all(character == "-" or character.isalnum() or ord(character) > 0xA0 for character in label)
    return bool(label) and inside and not label.startswith("-") and not label.endswith("-")


def is_any_url(text: str) -> bool:
    """A scheme, a colon, and something behind it without white space."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest) and _SCHEME.fullmatch(scheme) is not None and not any(map(str.isspace, text))


def is_ipv4(text: str) -> bool:
    """Four numbers."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Groups of hexadecimal digits, without a zone."""
    if "%" in text:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_yaml(text: str) -> bool:
    """Text that a YAML parser reads to its end; tags are not resolved."""
    try:
        for _document in yaml.compose_all(text, Loader=_YAML_LOADER):
            pass
    except yaml.YAMLError:
        return False
    return True


def is_proto(text: str) -> bool:
    """Text with at least one declaration of the protobuf language, and as many closing braces as opening ones."""
    return _PROTO.search(text) is not None and text.count("{") == text.count("}")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
