"""Why an expression does not compile, in words that its author can act on.

jq names the place at which it gave up, which is often far behind the mistake, and the token it stumbled over. What
people mean to write in a mapping goes wrong in few ways; those are recognised here, everything else stays jq's word.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stageport.mapping.expressions import rewrite_quotes
from stageport.mapping.jq_tokens import Kind, Token, find_unbalanced, offset_of, tokens_of
from stageport.model.errors import ExpressionError

BUILTINS: Final = (
    "IN/12 INDEX/12 abs/0 add/01 all/012 any/012 arrays/0 ascii_downcase/0 ascii_upcase/0 booleans/0 bsearch/1 "
    "capture/12 ceil/0 combinations/01 contains/1 del/1 delpaths/1 empty/0 endswith/1 error/01 explode/0 first/01 "
    "flatten/01 floor/0 format/1 from_entries/0 fromdate/0 fromdateiso8601/0 fromjson/0 fromstream/1 getpath/1 "
    "gmtime/0 group_by/1 gsub/23 has/1 implode/0 in/1 index/1 indices/1 inside/1 isempty/1 isvalid/1 iterables/0 "
    "join/1 keys/0 keys_unsorted/0 last/01 length/0 limit/2 localtime/0 ltrim/0 ltrimstr/1 map/1 map_values/1 "
    "match/12 max/0 max_by/1 min/0 min_by/1 mktime/0 not/0 now/0 nth/12 nulls/0 numbers/0 objects/0 path/1 paths/01 "
    "pick/1 pow/2 range/123 recurse/012 repeat/1 reverse/0 rindex/1 round/0 rtrim/0 rtrimstr/1 scalars/0 scan/12 "
    "select/1 setpath/2 skip/2 sort/0 sort_by/1 split/12 splits/12 sqrt/0 startswith/1 strflocaltime/1 strftime/1 "
    "strings/0 strptime/1 sub/23 test/12 to_entries/0 toboolean/0 todate/0 tojson/0 tonumber/0 tostream/0 "
    "tostring/0 transpose/0 trim/0 trimstr/1 trunc/0 type/0 unique/0 unique_by/1 until/2 utf8bytelength/0 values/0 "
    "walk/1 while/2 with_entries/1"
)
ARITIES: Final[Mapping[str, str]] = {
    name: counts for name, _, counts in (word.partition("/") for word in BUILTINS.split())
}

FOREIGN: Final[Mapping[str, str]] = {
    "lower": "ascii_downcase",
    "toLowerCase": "ascii_downcase",
    "downcase": "ascii_downcase",
    "upper": "ascii_upcase",
    "toUpperCase": "ascii_upcase",
    "len": "length",
    "size": "length",
    "replace": "gsub",
    "includes": "contains",
    "str": "tostring",
    "string": "tostring",
    "int": "tonumber",
    "filter": "select",
    "strip": "trim",
    "coalesce": "//",
}
"""Functions of other languages that people reach for, and what jq calls them."""

_PLAIN_TEXT: Final = re.compile(r"\s*(?:[\w$@:/.\- ]*[A-Za-z][\w$@:/.\- ]*|!?=|[<>]=?)\s*")
_WORDS: Final = (("IDENT", "word"), ("LITERAL", "number"), ("FIELD", "path"), ("BINDING", "variable"))
_FIRST_LINE_DONE: Final = re.compile(r",? expecting QQSTRING_TEXT.*")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, what to do, and the part of the expression that is meant: offsets of characters."""

    message: str
    hint: str
    start: int
    end: int


def explain_complaint(expression: str, error: ExpressionError) -> Complaint:
    """Return jq's complaint in plainer words, at the place of the mistake where it can be told."""
    at = min(offset_of(expression, line=error.line, column=error.column), max(0, len(expression.rstrip()) - 1))
    tokens = tokens_of(rewrite_quotes(expression))
    for diagnose in _DIAGNOSES:
        found = diagnose(expression, tokens, at, error)
        if found is not None:
            return found
    empty = "Write null to clear the field, or leave its key out" if "holds no filter" in error.message else ""
    return Complaint(_plainer(error.message), error.hint or empty, at, at + 1)


def _plainer(message: str) -> str:
    text = _FIRST_LINE_DONE.sub("", message)
    for word, plain in _WORDS:
        text = text.replace(word, plain)
    return text


Diagnosis = Callable[[str, Sequence[Token], int, ExpressionError], Complaint | None]


def _bare_text(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    """Text without quotes of its own: the YAML's quotes are gone before jq sees it."""
    del at
    text = expression.strip()
    is_path = text.startswith(".")
    if not text or is_path or not _PLAIN_TEXT.fullmatch(expression) or len(tokens) > 12:
        return None
    if text in ARITIES:
        return None
    near = _near(text)
    hint = f"Text needs double quotes of its own, inside those of YAML: '\"{text}\"'"
    hint += f". If the function {near} is meant, write that" if near else ""
    start = expression.index(text)
    del error
    return Complaint(f"jq takes {text} for a program, not for text", hint, start, start + len(text))


def _single_quotes(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    stray = next((token for token in tokens if token.text == "'"), None)
    stripped = expression.strip()
    if stripped.startswith("'\"") and stripped.endswith("\"'"):
        start = expression.index("'")
        words = "the single quotes are part of the expression here"
        hint = f"In a block (| or >-) nothing needs YAML's quotes: write {stripped[1:-1]}"
        return Complaint(words, hint, start, start + len(stripped))
    if stray is None:
        open_string = find_unbalanced(tokens)
        is_ours = open_string is not None and expression[open_string.token.start] == "'"
        stray = open_string.token if open_string is not None and is_ours else None
    if stray is None:
        return None
    del at, error
    end = expression.find("'", stray.start + 1)
    hint = "jq takes text in double quotes: \"…\" instead of '…'"
    return Complaint("single quotes are no quotes in jq", hint, stray.start, end + 1 if end > 0 else stray.start + 1)


def _unbalanced(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    del expression, at, error
    found = find_unbalanced(tokens)
    if found is None:
        return None
    width = 1 if found.token.kind is Kind.STRING else len(found.token.text)
    return Complaint(found.message, "", found.token.start, found.token.start + width)


def _unfinished_if(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    del expression, at
    words = [token for token in tokens if token.kind is Kind.WORD]
    opened = [token for token in words if token.text == "if"]
    if "ends too early" in error.message and len(opened) > sum(token.text == "end" for token in words):
        start = opened[-1].start
        return Complaint("this 'if' has no 'end'", "jq writes: if … then … else … end", start, start + 2)
    return None


_OTHER_OPERATORS: Final = (
    ("&&", "and"),
    ("||", "or"),
    ("===", "=="),
    ("!==", "!="),
    ("??", "//"),
    ("{{", "the expression alone, without braces around it"),
)


def _other_language(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    strings = [(token.start, token.end) for token in tokens if token.kind is Kind.STRING]
    for text, jq_text in _OTHER_OPERATORS:
        place = expression.find(text, max(0, at - 3))
        near = 0 <= place <= at + 1
        if near and not any(start <= place < end for start, end in strings):
            return Complaint(f"'{text}' is no jq", f"jq writes: {jq_text}", place, place + len(text))
    called = next((one for one in tokens if one.text == "(" and one.start == at), None)
    before = next((one for one in tokens if called and one.end == called.start and one.kind is Kind.FIELD), None)
    if before is None:
        return None
    name = before.text[1:]
    hint = f"Functions follow a pipe: … | {FOREIGN.get(name, name)}"
    return Complaint(_plainer(error.message), hint, before.start, before.end)


_UNDEFINED: Final = re.compile(r"(?P<name>[A-Za-z_]\w*)/(?P<arity>\d+) is not defined")


def _undefined(expression: str, tokens: Sequence[Token], at: int, error: ExpressionError) -> Complaint | None:
    found = _UNDEFINED.match(error.message)
    if found is None:
        return None
    name = found["name"]
    token = next((one for one in tokens if one.kind is Kind.WORD and one.text == name and one.end > at), None)
    if token is None:
        return None
    key = _unquoted_key(expression, tokens, token)
    if key is not None:
        return key
    return Complaint(f"jq has no function {name}{_with(found['arity'])}", _function_hint(name), token.start, token.end)


def _with(arity: str) -> str:
    return "" if arity == "0" else " with 1 argument" if arity == "1" else f" with {arity} arguments"


def _function_hint(name: str) -> str:
    if name in ARITIES:
        counts = " or ".join(ARITIES[name])
        return f"{name} takes {counts} argument{'' if counts == '1' else 's'}"
    near = FOREIGN.get(name) or _near(name)
    return f"Did you mean {near}?" if near else f'If the text {name} is meant, write it in double quotes: "{name}"'


def _near(name: str) -> str:
    return next(iter(difflib.get_close_matches(name, ARITIES, n=1, cutoff=0.75)), "")


_KEY: Final = re.compile(r"(?P<parent>(?:\.\w+)*?\.(?:annotations|labels)|(?:\.\w+)*?)\.(?P<key>[\w.]+(?:[-/][\w.]*)+)")


def _unquoted_key(expression: str, tokens: Sequence[Token], word: Token) -> Complaint | None:
    """A key with ``-`` or ``/`` in it, such as those of annotations: jq takes it for a calculation."""
    index = tokens.index(word)
    joint = tokens[index - 1] if index else None
    if joint is None or joint.text not in {"-", "/"} or joint.end != word.start:
        return None
    for found in _KEY.finditer(expression):
        if found.start() <= word.start < found.end():
            right = f'{found["parent"]}["{found["key"]}"]' if found["parent"] else f'.["{found["key"]}"]'
            return Complaint(
                f"the key {found['key']} is taken for a calculation",
                f"A key with '-', '/' or '.' in it needs quotes: {right}",
                found.start("key"),
                found.end("key"),
            )
    return None


_DIAGNOSES: Final[tuple[Diagnosis, ...]] = (
    _unfinished_if,
    _bare_text,
    _single_quotes,
    _undefined,
    _other_language,
    _unbalanced,
)
