"""Several source entities, or several resources, may want the same target entity: here they become one.

Port's own integration writes them one after the other, so the last one wins, field by field under merge, as a whole
without. Folding them before they are written means that a second run finds nothing to do.
"""

from collections.abc import Sequence
from functools import reduce

import msgspec

from stageport.model.entities import Json


def fold_bodies(bodies: Sequence[bytes], *, merge: bool) -> bytes:
    """Return what several bodies, in order, come to at Port; at least one is needed."""
    if len(bodies) == 1 or not merge:
        return bodies[-1]
    return msgspec.json.encode(reduce(_overlay, (msgspec.json.decode(body) for body in bodies)))


def _overlay(below: Json, above: Json) -> Json:
    merged = {**below, **above}
    for part in ("properties", "relations"):
        if part in below and part in above:
            merged[part] = {**below[part], **above[part]}
    return merged
