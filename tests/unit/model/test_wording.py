"""What is kept of other people's words: short, and without secrets and contents."""

import json

import pytest

from stageport.model.changes import Change, Operation
from stageport.model.wording import kept_answer, kept_complaint, kept_words


def change(**body: object) -> Change:
    return Change(Operation.CREATE, "service", "component:default/pay", body=json.dumps(body).encode())


def test_values_of_title_and_properties_are_taken_out_whatever_they_are_nested_in() -> None:
    wanted = change(
        title="Payments",
        properties={"email": "nobody at home", "links": [{"url": "https://inner.example"}], "type": "service"},
        relations={"owner": "group:default/team-a"},
    )
    said = (
        '"Payments": "nobody at home" is no e-mail, https://inner.example is no address, '
        'Entity with identifier "group:default/team-a" does not exist in the blueprint "group"'
    )
    kept = kept_answer(said, wanted)
    assert "nobody" not in kept
    assert "inner.example" not in kept
    assert "Payments" not in kept
    assert '"group:default/team-a" does not exist in the blueprint "group"' in kept


def test_names_stay_although_a_property_has_the_same_value() -> None:
    wanted = change(properties={"id": "component:default/pay", "kind": "service"})
    assert kept_answer('"component:default/pay" of "service" is odd', wanted).count("component:default/pay") == 1


def test_a_long_quote_is_content_even_when_it_is_not_found_in_the_body() -> None:
    kept = kept_answer(f'must match: "{"x" * 80}"', change())
    assert "xxx" not in kept


@pytest.mark.parametrize(
    "said",
    [
        'string ("opensesame...) cannot be parsed as a number',
        "Cannot index number with string (opensesame)",
        'object ({"a":"opensesame"}) and number (7) cannot be added',
        "array ([(opensesame)]) is no key",
    ],
)
def test_what_jq_quotes_is_taken_out(said: str) -> None:
    assert "opensesame" not in kept_complaint(said)


def test_it_is_one_short_line_and_shows_no_token() -> None:
    kept = kept_words("a\nb " + "word " * 200 + " ghp_" + "a" * 36)
    assert "\n" not in kept
    assert len(kept) < 350
    assert "ghp_aaa" not in kept_words("it was ghp_" + "a" * 36)
