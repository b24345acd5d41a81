"""Names are cut into requests by number and by bytes."""

from stageport.http.names import cut_names


def cut(*names: str, most: int = 10, most_bytes: int = 1_000) -> list[list[str]]:
    return list(cut_names(names, most=most, most_bytes=most_bytes))


def test_a_list_holds_no_more_names_than_it_may() -> None:
    assert cut("a", "b", "c", "d", "e", most=2) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_list_holds_no_more_bytes_than_it_may_quotes_and_commas_included() -> None:
    assert cut("aa", "bb", "cc", most_bytes=10) == [["aa", "bb"], ["cc"]]
    assert cut("aa", "bb", most_bytes=9) == [["aa"], ["bb"]]
    assert cut("ää", "bb", most_bytes=11) == [["ää"], ["bb"]]


def test_a_name_too_long_for_any_list_stands_alone() -> None:
    assert cut("a", "x" * 50, "b", most_bytes=10) == [["a"], ["x" * 50], ["b"]]


def test_a_name_given_twice_is_asked_for_once() -> None:
    assert cut("a", "b", "a") == [["a", "b"]]


def test_no_names_are_no_list() -> None:
    assert cut() == []
