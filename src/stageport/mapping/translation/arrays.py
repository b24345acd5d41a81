"""What jq's functions make of arrays, and of the entries of objects.

Sorting is by strings alone: their order is that of code points, in jq as in Python.
"""

from stageport.mapping.translation.values import Unproven, Value, add, bounded, each


def total(value: Value) -> Value:
    """Return what ``add`` gives: strings, arrays or whole numbers put together, null for none."""
    return total_of(list(each(value)))


def total_of(values: list[Value]) -> Value:
    """Return what ``add(stream)`` gives for the outputs of a stream."""
    given = [one for one in values if one is not None]
    if not given:
        return None
    kind = given[0].__class__
    if any(one.__class__ is not kind for one in given):
        raise Unproven
    if kind is str:
        return bounded("".join(given))
    if kind is list:
        return bounded([entry for one in given for entry in one])
    result = given[0]
    for one in given[1:]:
        result = add(result, one)
    return result


def entries(value: Value) -> list[Value]:
    """Return what ``to_entries`` gives."""
    if value.__class__ is not dict:
        raise Unproven
    return [{"key": key, "value": one} for key, one in value.items()]


def from_entries(value: Value) -> dict[str, Value]:
    """Return the object that entries with a string for ``key`` and a ``value`` make."""
    if value.__class__ is not list:
        raise Unproven
    made: dict[str, Value] = {}
    for one in value:
        if one.__class__ is not dict or one.get("key").__class__ is not str or "value" not in one:
            raise Unproven
        made[one["key"]] = one["value"]
    return made


def _strings(value: Value) -> list[str]:
    if value.__class__ is list and all(one.__class__ is str for one in value):
        return value
    raise Unproven


def ordered(value: Value) -> list[str]:
    """Return an array of strings sorted by code points."""
    return sorted(_strings(value))


def distinct(value: Value) -> list[str]:
    """Return an array of strings sorted, each once."""
    return sorted(set(_strings(value)))


def ordered_by(value: Value, sort_keys: list[Value]) -> list[Value]:
    """Return an array sorted by one string for each entry."""
    texts = _strings(sort_keys)
    return [value[at] for at in sorted(range(len(value)), key=texts.__getitem__)]


def distinct_by(value: Value, sort_keys: list[Value]) -> list[Value]:
    """Return an array sorted by one string for each entry, the first of each kept."""
    texts = _strings(sort_keys)
    first: dict[str, Value] = {}
    for text, one in zip(texts, value, strict=True):
        first.setdefault(text, one)
    return [first[text] for text in sorted(first)]


def grouped_by(value: Value, sort_keys: list[Value]) -> list[Value]:
    """Return the entries of an array in groups by one string for each."""
    groups: dict[str, list[Value]] = {}
    for text, one in zip(_strings(sort_keys), value, strict=True):
        groups.setdefault(text, []).append(one)
    return [groups[text] for text in sorted(groups)]


def least(value: Value) -> Value:
    """Return the least of some strings, null of none."""
    return min(_strings(value), default=None)


def greatest(value: Value) -> Value:
    """Return the greatest of some strings, null of none."""
    return max(_strings(value), default=None)


def backwards(value: Value) -> list[Value]:
    """Return an array from its end to its start."""
    if value.__class__ is list:
        return value[::-1]
    if value is None:
        return []
    raise Unproven


def flat(value: Value) -> list[Value]:
    """Return an array with the entries of arrays within it in their place, at every depth."""
    if value.__class__ is not list:
        raise Unproven
    made: list[Value] = []
    for one in value:
        made.extend(flat(one) if one.__class__ is list else (one,))
    return made


def a_list(value: Value) -> list[Value]:
    """Return an array as it is."""
    if value.__class__ is list:
        return value
    raise Unproven
