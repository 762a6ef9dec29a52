"""The guide to adding a protocol quotes what is there: its snippets stand in the files that it names."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "balance_tracker"
GUIDE = (ROOT / "docs" / "adding-a-protocol.md").read_text(encoding="utf-8")
CODE, TABLE = PACKAGE / "protocols" / "uniswap_v2.py", PACKAGE / "data" / "protocols" / "uniswap_v2.toml"
FILES = {"python": CODE, "text": CODE, "toml": TABLE, "py": PACKAGE / "protocols" / "marinade.py"}


@pytest.mark.parametrize("language", FILES)
def test_every_snippet_stands_in_the_file_word_for_word(language: str) -> None:
    text = stripped(FILES[language].read_text(encoding="utf-8"))
    snippets = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert snippets
    for snippet in snippets:
        assert stripped(snippet) in text, snippet


def stripped(text: str) -> str:
    """The same lines wherever they are indented."""
    return "".join(f"{line.strip()}\n" for line in text.splitlines())


def test_the_steps_of_the_guide_are_numbered_in_order() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", GUIDE, re.MULTILINE)]
    assert numbers[0] == 1
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))


def test_every_file_that_the_guide_links_is_there() -> None:
    links = re.findall(r"\]\((\.\./[^)]+)\)", GUIDE)
    assert links
    for link in links:
        assert (ROOT / "docs" / link).resolve().is_file(), link
