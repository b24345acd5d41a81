"""``.env`` files as people write them."""

import pytest

from stageport.model.errors import SettingsError
from stageport.settings.dotenv import parse_dotenv, read_dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        (" A = b ", "b"),
        ("A=", ""),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A= # only a comment", ""),
        ("A='b # c'", "b # c"),
        ('A="b # c" # d', "b # c"),
        ('A="one\\ntwo"', "one\ntwo"),
        ("A='one\\ntwo'", "one\\ntwo"),
        ('A="quoted \\"word\\""', 'quoted "word"'),
        ('A="two\nlines"', "two\nlines"),
        ('A={"type":"ONCE"}', '{"type":"ONCE"}'),
        ('A=\'{"type": "ONCE"}\'', '{"type": "ONCE"}'),
        ("A=a b", "a b"),
        ("A=x=y==", "x=y=="),
        ("A=b\r\n", "b"),
    ],
)
def test_a_line_gives_its_value(line, value):
    assert parse_dotenv(f"# first\n\n{line}\nOTHER=1\n") == {"A": value, "OTHER": "1"}


def test_of_a_name_given_twice_the_last_counts():
    assert parse_dotenv("A=1\nA=2\n") == {"A": "2"}


def test_lines_that_are_no_assignment_are_passed_over():
    assert parse_dotenv("#A=1\nno assignment\n1A=2\n") == {}


def test_no_file_is_no_variables(tmp_path):
    assert read_dotenv(tmp_path / ".env") == {}


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        read_dotenv(tmp_path / ".env")
