import re
from pathlib import Path

from stageport.model.exits import Exit

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "exit-codes.md"


def test_the_page_of_exit_codes_lists_each_of_them() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(code.value), code.name) for code in Exit]
