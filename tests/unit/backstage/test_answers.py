"""JSON as JavaScript writes it: text cut in the middle of a character is read all the same."""

import msgspec
import pytest
from multidict import CIMultiDict

from stageport.backstage.answers import MalformedBodyError, read_items, read_named
from stageport.http.messages import Response

LOST = "\N{REPLACEMENT CHARACTER}"
ODD = {
    # What stands in the answer, and what is read.
    r"\ud83d": LOST,
    r"\uDE00": LOST,
    r"cut \uD83D": f"cut {LOST}",
    r"\ud83d\ud83d\ude00": f"{LOST}😀",
    r"\ude00\ud83d": LOST * 2,
    r"\ud83d\u0041": f"{LOST}A",
    r"\ud83d\\ude00": rf"{LOST}\ude00",
    r"\\\ud83d": f"\\{LOST}",
    r"\"\ud83d\"": f'"{LOST}"',
    # Nothing is cut here, whatever it looks like.
    r"\ud83d\ude00": "😀",
    r"\\ud83d": r"\ud83d",
    r"\\\\ud83d": r"\\ud83d",
    r"\u0041\n": "A\n",
}
BESIDE_HALF_A_CHARACTER = {text: read for text, read in ODD.items() if LOST not in read}


def answer(body: str) -> Response:
    return Response(200, CIMultiDict({"Content-Type": "application/json"}), body.encode())


def titled(text: str) -> str:
    return f'{{"kind":"Component","metadata":{{"name":"odd","title":"{text}"}}}}'


@pytest.mark.parametrize("text", ODD)
def test_half_a_character_is_replaced_and_everything_else_stays_as_it_is(text: str) -> None:
    (item,) = read_items(answer(f'{{"items":[{titled(text)}]}}'))
    assert msgspec.json.decode(item)["metadata"]["title"] == ODD[text]
    assert msgspec.json.decode(read_named(answer(titled(text))).raw)["metadata"]["title"] == ODD[text]


@pytest.mark.parametrize("text", BESIDE_HALF_A_CHARACTER)
def test_what_is_whole_stays_as_it_is_beside_half_a_character(text: str) -> None:
    _, item = read_items(answer(rf'{{"items":["\ud83d",{titled(text)}]}}'))
    assert msgspec.json.decode(item)["metadata"]["title"] == BESIDE_HALF_A_CHARACTER[text]


@pytest.mark.parametrize("body", [r'{"items":["\ud83d"', r'{"items":["\ud83'])
def test_an_answer_that_breaks_off_is_no_answer_whatever_is_cut_in_it(body: str) -> None:
    with pytest.raises(MalformedBodyError):
        read_items(answer(body))
