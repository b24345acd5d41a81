import pytest

from stageport.model.errors import sentences


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("Illegal token", "Compare it."), "Illegal token. Compare it."),
        (("It failed.", "", "  ", "Again"), "It failed. Again."),
        (("Is it there?", "Wait…"), "Is it there? Wait…"),
        ((), ""),
    ],
)
def test_what_was_said_ends_as_a_sentence_does(parts: tuple[str, ...], words: str) -> None:
    assert sentences(*parts) == words
