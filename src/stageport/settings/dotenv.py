"""``.env`` files: ``NAME=value`` lines, quotes, comments, ``export``. Nothing is interpolated."""

import re
from collections.abc import Mapping
from pathlib import Path

from stageport.model.errors import SettingsError

LINE = re.compile(
    r"""
    ^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?:'(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>[^\n]*?))
    [ \t]*(?:(?:^|(?<=[ \t'"=]))\#[^\n]*)?$
    """,
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", '\\"': '"', "\\\\": "\\", "\\$": "$"}


def read_dotenv(file: Path) -> Mapping[str, str]:
    """Return the variables of a ``.env`` file; none when there is no such file.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "why is not said") if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(
            f"{file.name} cannot be read: {reason}", hint="It should be a readable file in UTF-8."
        ) from None
    return parse_dotenv(text)


def parse_dotenv(text: str) -> Mapping[str, str]:
    """Read the text of a ``.env`` file; of a name that occurs twice, the last counts."""
    return {found["name"]: _value(found) for found in LINE.finditer(text.replace("\r\n", "\n"))}


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return re.sub(r"\\.", lambda escape: ESCAPES.get(escape[0], escape[0]), found["double"])
    return str(found["single"] if found["single"] is not None else found["bare"])
