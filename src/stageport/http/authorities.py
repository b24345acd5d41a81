"""Certificate authorities beside those of the system: of a private Port, of a Backstage behind a company's proxy.

Port's own image merges the folders in which people mount such certificates into one bundle when it starts. Here they
are read where they lie: nothing has to be written, and it works for every command, in a container or not.
"""

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

from stageport.model.errors import SettingsError

ENDINGS = frozenset({".crt", ".pem", ".cer"})


def load_authorities(context: ssl.SSLContext, places: Iterable[Path], *, setting: str) -> None:
    """Trust every certificate in these files, and in the files of these folders that end as certificates do.

    ``setting`` is what the places were named by, for the error.

    Raises:
        SettingsError: a place does not exist, or a file holds no certificates that can be read.
    """
    # Debian links most of /etc/ssl/certs to another folder: each certificate is read once.
    for file in {found.resolve(): None for found in _files(places, setting)}:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"{setting}: {file} holds no certificates that can be read ({error})",
                hint="It should be a text file with -----BEGIN CERTIFICATE----- in it (PEM).",
            ) from error


def _files(places: Iterable[Path], setting: str) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(found for found in place.rglob("*") if found.suffix in ENDINGS and found.is_file())
        elif place.exists():
            yield place
        else:
            raise SettingsError(
                f"{setting}: there is no file or folder {place}", hint="Name files and folders, separated by colons."
            )
