"""Whether the expressions of a mapping compile, however much else is wrong with it."""

from collections.abc import Sequence

from stageport.mapping.complaints import Complaint, explain_complaint
from stageport.mapping.document import MappingDocument
from stageport.mapping.lint import Level, Remark
from stageport.mapping.reading import literal
from stageport.mapping.resource import EntityMapping, Resource, Selector
from stageport.mapping.schema import Met, walk_mapping
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import Json


async def compile_remarks(config: Json, *, limits: Limits | None = None) -> list[Remark]:
    """Compile every expression of a mapping, each in the safety of a worker process, and remark on those that fail."""
    met = [one for one in walk_mapping(config) if one.known is None and _is_compiled(one)]
    if not met:
        return []
    async with WorkerPool(_document(met), workers=1, limits=limits) as pool:
        return [
            _remark(met[int(number)], explain_complaint(fault.slot.expression, fault.error))
            for fault in pool.faults
            if (number := fault.slot.field.removeprefix("properties.")).isdigit()
        ]


def _is_compiled(met: Met) -> bool:
    """Leave out what is no expression: an empty ``itemsToParse``, and booleans, which are remarked on elsewhere."""
    return not isinstance(met.value, bool) and not (met.path[-1] == "itemsToParse" and met.value == "")


def _document(met: Sequence[Met]) -> MappingDocument:
    properties = {str(number): literal(one.value) for number, one in enumerate(met)}
    mappings = EntityMapping(identifier='"x"', blueprint='"x"', properties=properties)
    return MappingDocument(resources=(Resource("x", Selector("true"), mappings),))


def _remark(met: Met, complaint: Complaint) -> Remark:
    words = f"does not compile: {complaint.message}"
    return Remark(Level.ERROR, "no-jq", met.path, words, complaint.hint, (complaint.start, complaint.end))
