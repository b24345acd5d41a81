"""Hashes that stand for contents, 16 bytes of BLAKE2b: 1.9 µs for 2 kB, and no dependency."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from stageport.model.entities import Json
from stageport.model.ledger import Fingerprint
from stageport.model.refs import TargetKey

SIZE = 16
KEY_SIZE = 8

_encoder = msgspec.json.Encoder(order="deterministic")


def digest_of(content: bytes) -> Fingerprint:
    """Hash bytes as they are."""
    return blake2b(content, digest_size=SIZE).digest()


def key_hash(key: TargetKey) -> bytes:
    """Hash the name of a target entity, in 8 bytes."""
    return name_hash(*key)


@lru_cache(maxsize=4096)  # a catalog's owners and systems are related to over and over
def name_hash(blueprint: str, identifier: str) -> bytes:
    """Hash the name of a target entity as ``key_hash`` does."""
    return blake2b(f"{blueprint}\0{identifier}".encode(), digest_size=KEY_SIZE).digest()


class StoredFields(NamedTuple):
    """The fields of which a fingerprint of what Port holds is made, sorted by where they stand."""

    plain: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()

    @classmethod
    def of(cls, paths: Iterable[str]) -> "StoredFields":
        """Sort paths as in ``FieldChange``: ``title``, ``properties.type``, ``relations.system``."""
        parts = [path.partition(".") for path in sorted(set(paths))]
        plain = tuple(part for part, dot, _ in parts if not dot)
        named = (tuple(name for part, _, name in parts if part == place) for place in ("properties", "relations"))
        return cls(plain, *(tuple(filter(None, names)) for names in named))


def stored_fingerprint(entity: Json, fields: StoredFields) -> Fingerprint:
    """Hash what Port holds of the given fields, so that null and absent are the same and lists of names are sets."""
    properties, relations = entity.get("properties") or {}, entity.get("relations") or {}
    held = [_as_names(entity.get(name)) if name == "team" else entity.get(name) for name in fields.plain]
    held += [properties.get(name) for name in fields.properties]
    held += [_as_names(relations.get(name)) for name in fields.relations]
    return digest_of(_encoder.encode(held))


def _as_names(value: Json) -> list[str] | None:
    if not value:
        return None
    return sorted(map(str, value)) if isinstance(value, list) else [str(value)]
