"""What generated functions see."""

from collections.abc import Callable
from typing import Any, Final

from stageport.mapping.translation import arrays, json_text, texts, values

RUNTIME: Final[dict[str, Callable[..., Any]]] = {
    one.__name__: one
    for one in (
        *(str, list, dict, bool, int, values.JqError, values.OddNumber),
        *(values.field, values.lookup, values.may_lookup, values.piece, values.may_slice),
        *(values.each, values.each_if_any, values.same, values.less, values.add, values.subtract, values.divide),
        *(values.negate, values.type_of, values.length, values.keys, values.unsorted_keys, values.has, values.is_in),
        values.key_of,
        *(json_text.text_of, json_text.json_of, json_text.number_of, json_text.from_json),
        *(texts.byte_length, texts.contains, texts.index_of, texts.last_index_of, texts.starts, texts.ends),
        *(texts.without_start, texts.without_end, texts.trim, texts.trim_left, texts.trim_right),
        *(texts.lower, texts.upper, texts.join),
        *(arrays.total, arrays.total_of, arrays.entries, arrays.from_entries, arrays.a_list, arrays.backwards),
        *(arrays.flat, arrays.ordered, arrays.distinct, arrays.ordered_by, arrays.distinct_by, arrays.grouped_by),
        *(arrays.least, arrays.greatest),
    )
}
"""Functions and types by their names; nothing else, and no builtins."""
