"""Nothing that a stand-in shows can become markup."""

from stageport.sandbox.port.pages.markup import Html, join, table, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>&", tag("i", "x"), None, 1) == "<p>&lt;b&gt;&amp;<i>x</i>1</p>"


def test_attributes_are_escaped() -> None:
    assert tag("a", "x", href='"><script>', class_="c", aria_label="l", title=None) == (
        '<a href="&quot;&gt;&lt;script&gt;" class="c" aria-label="l">x</a>'
    )


def test_elements_without_content_are_not_closed() -> None:
    assert tag("input", name="q", value="'") == '<input name="q" value="&#x27;">'


def test_a_table_without_rows_is_a_sentence() -> None:
    assert table(("A",), [], empty="None & nothing.") == '<p class="empty">None &amp; nothing.</p>'
    assert '<td class="number">3</td>' in table(("A",), [(3,)], empty="")


def test_what_is_joined_is_markup() -> None:
    assert isinstance(join("<", Html("<br>")), Html)
    assert join("<", Html("<br>")) == "&lt;<br>"
