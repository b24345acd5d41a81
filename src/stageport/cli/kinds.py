"""``sync --kind``: the kinds that a person names, held against those that the mapping reads."""

from collections.abc import Collection
from contextlib import suppress

from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.model.errors import MappingError, UsageError
from stageport.sync.ground import find_ground
from stageport.sync.service import PassOptions
from stageport.sync.surroundings import Surroundings


async def check_kinds(around: Surroundings, options: PassOptions) -> None:
    """Hold the kinds of a pass against the mapping at Port, before the pass begins. Writes nothing.

    A mapping that cannot be used is left to the pass, which tells Port of it.

    Raises:
        TargetError: Port could not be read.
        UsageError: no resource reads one of the kinds.
    """
    if not options.kinds:
        return
    with suppress(MappingError):
        found = await find_ground(
            around.integration, around.blueprints, initialize=options.initialize, folder=options.resources
        )
        refuse_unmapped(options.kinds, parse_mapping(found.config))


def refuse_unmapped(kinds: Collection[str], document: MappingDocument) -> None:
    """Refuse kinds (lower case) that no resource of the mapping reads: the pass would look at nothing.

    Raises:
        UsageError: there are some.
    """
    mapped = document.kinds()
    wrong = sorted(set(kinds) - {kind.lower() for kind in mapped})
    if wrong:
        names = " or ".join(wrong)
        raise UsageError(f"No resource of the mapping reads kind {names}.", hint=f"Mapped are {', '.join(mapped)}.")
