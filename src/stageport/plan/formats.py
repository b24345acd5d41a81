"""The formats of text that Port checks, as strictly as the usual JSON Schema validator reads them.

How strict Port is with ``yaml``, ``proto``, ``user`` and ``timer`` is not published; what is said here is the strict
reading, so that whoever heeds it is safe either way.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final
from urllib.parse import urlsplit

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
_IDN_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)*")
_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](\d\d):?(\d\d))", re.ASCII
)
_PROTO: Final = re.compile(r"^\s*(?:syntax|edition|package|import|option|message|enum|service|extend)\b", re.MULTILINE)


def is_email(text: str) -> bool:
    """One local part, and a domain with a dot."""
    return _EMAIL.fullmatch(text) is not None


def is_international_email(text: str) -> bool:
    """The same with letters of any script."""
    return _IDN_EMAIL.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """http, https or ftp, to a name with a dot or a public IPv4 address; ``localhost`` and white space are refused."""
    if any(character.isspace() for character in text):
        return False
    try:
        parts = urlsplit(text)
        usable_port = parts.port is None or parts.port >= 10
    except ValueError:
        return False
    return parts.scheme.lower() in {"http", "https", "ftp"} and usable_port and _is_public_host(parts.hostname or "")


def _is_public_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_domain(host)
    return address.version == 4 and not (address.is_private or address.is_loopback or address.is_multicast)


def _is_domain(host: str) -> bool:
    *labels, top = host.split(".")
    return len(labels) > 0 and len(top) > 1 and all(map(_is_letter, top)) and all(map(_is_label, labels))


def _is_label(label: str) -> bool:
    return bool(label) and label[0] != "-" != label[-1] and all(c == "-" or c.isalnum() or c > "\xa0" for c in label)


def _is_letter(character: str) -> bool:
    return character.isalpha() or character > "\xa0"


def is_date_time(text: str) -> bool:
    """A day of the calendar, a time of day, and an offset (RFC 3339)."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, hour, minute, second, off_hour, off_minute = (int(part or 0) for part in found.groups())
    try:
        date(year, month, day)
    except ValueError:
        return False
    return hour < 24 and minute < 60 and second <= 60 and off_hour < 24 and off_minute < 60


def is_ipv4(text: str) -> bool:
    """Four numbers with dots."""
    return _parses(ipaddress.IPv4Address, text)


def is_ipv6(text: str) -> bool:
    """Groups of hexadecimal digits, without a zone."""
    return "%" not in text and _parses(ipaddress.IPv6Address, text)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def is_yaml(text: str) -> bool:
    """Text that is YAML to its end; tags are not resolved."""
    import yaml  # hardly any blueprint asks for it

    try:
        for _ in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.YAMLError:
        return False
    return True


def is_proto(text: str) -> bool:
    """At least one protobuf declaration, and braces that balance."""
    return _PROTO.search(text) is not None and text.count("{") == text.count("}")


FORMATS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "email": (is_email, "an e-mail address, like jane@example.com"),
    "idn-email": (is_international_email, "an e-mail address"),
    "url": (is_url, "a URL that starts with http://, https:// or ftp:// and names a host with a dot"),
    "date-time": (is_date_time, "a date and time with an offset, like 2024-05-01T12:00:00Z"),
    "timer": (is_date_time, "a date and time with an offset, like 2024-05-01T12:00:00Z"),
    "ipv4": (is_ipv4, "an IPv4 address"),
    "ipv6": (is_ipv6, "an IPv6 address"),
    "yaml": (is_yaml, "YAML"),
    "proto": (is_proto, "a protobuf definition"),
    "user": (is_email, "the e-mail address of a user of Port"),
}
"""What each format demands, and how to say it. A format that is not here takes any text (``markdown``)."""
