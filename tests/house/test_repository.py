"""What may be in the repository, and what its documents promise."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.house.tree import ROOT, project_files, python_files, shown, text_of
from typer.main import get_command

from balance_tracker.cli.main import app
from balance_tracker.settings import RPC_PREFIX

MACHINE_PATH = re.compile(r"(?<![\w./~}-])/(?:home|root|Users|work|opt|tmp|mnt)/\w")
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("yarnpkg", "com"))
)
LOCKS = ("requirements.lock", "requirements-node.lock", "package-lock.json")
MAX_FILE_BYTES = 512 * 1024

_FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_MAKE = re.compile(r"\bmake ([a-z-]+)")
_COMMAND = re.compile(r"\bbalance-tracker ([a-z]+)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SETTING = re.compile(r"\bTRACKER_[A-Z0-9_]+")


def documents() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


def code_in(text: str) -> str:
    """What a document shows as code, in blocks or within a line."""
    blocks = _FENCE.findall(text)
    return "\n".join([*blocks, *_INLINE.findall(_FENCE.sub("", text))])


def python_in(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", text_of(ROOT / "Makefile"), re.MULTILINE))


def recipe(target: str) -> str:
    """The lines that a target of the Makefile runs."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert found, f"no target {target}"
    return found.group(1)


def test_no_file_names_a_place_of_one_machine() -> None:
    found = [
        f"{shown(path)}: {match.group()}"
        for path in project_files()
        for match in MACHINE_PATH.finditer(text_of(path))
    ]
    assert not found
    assert not [shown(path) for path in project_files() if f"{ROOT}/" in text_of(path)]


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{shown(path)}: {host}"
        for path in project_files()
        for host in REGISTRY_HOSTS
        if host in text_of(path)
    ]
    assert not found


def test_lock_files_hold_no_url() -> None:
    locks = [path for path in project_files() if path.name in LOCKS]
    assert {path.name for path in locks} == set(LOCKS)
    assert not [shown(path) for path in locks if "://" in text_of(path)]


def test_the_lock_names_every_requirement_with_its_hashes() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=!~ ]", line)[0].lower() for line in wanted}
    lock = text_of(ROOT / "requirements.lock")
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert names <= locked
    blocks = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    assert not [block.split()[0] for block in blocks if "--hash=sha256:" not in block]


def test_no_file_is_out_of_proportion() -> None:
    assert not [shown(path) for path in project_files() if path.stat().st_size > MAX_FILE_BYTES]


def test_every_make_command_of_the_documents_exists() -> None:
    targets = make_targets()
    for path in documents():
        named = set(_MAKE.findall(code_in(text_of(path))))
        assert named <= targets, f"{shown(path)} names {named - targets}"


def test_every_command_of_the_documents_exists() -> None:
    known = set(getattr(get_command(app), "commands"))  # noqa: B009 - a group has them, its base has not
    for path in documents():
        named = set(_COMMAND.findall(code_in(text_of(path))))
        assert named <= known, f"{shown(path)} names {named - known}"


def test_the_python_examples_of_the_documents_compile_and_import_what_exists() -> None:
    for path in documents():
        for example in python_in(text_of(path)):
            for node in ast.walk(ast.parse(example, filename=shown(path))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = import_module(node.module)
                    assert all(hasattr(module, name.name) for name in node.names), shown(path)


def test_the_readme_shows_what_the_demo_prints() -> None:
    shown_there = (
        text_of(ROOT / "README.md").partition("<!-- demo:begin -->")[2].partition("<!-- demo:end -->")[0]
    )
    assert "ETH" in shown_there
    assert "Solana" in shown_there


def test_every_setting_of_the_documents_is_read_somewhere() -> None:
    source = "\n".join(text_of(path) for path in python_files("src"))
    fields = {name.upper() for name in re.findall(r"^    ([a-z_]+): .*$", source, re.MULTILINE)}
    for path in documents():
        for name in set(_SETTING.findall(text_of(path))):
            is_read = name in source or name.startswith(RPC_PREFIX)
            assert is_read or name.removeprefix("TRACKER_") in fields, f"{shown(path)} names {name}"


def links() -> Iterator[tuple[Path, str]]:
    for path in documents():
        for link in _LINK.findall(_FENCE.sub("", text_of(path))):
            if "://" not in link and not link.startswith("mailto:"):
                yield path, link


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for path, link in links():
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{shown(path)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{shown(path)} links to {link}"


def anchors(document: Path) -> set[str]:
    """Ids of the headings, as forges make them."""
    headings = re.findall(r"^#+ +(.+)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_ci_runs_what_the_documents_tell_people_to_run() -> None:
    assert "make check" in text_of(ROOT / ".ci" / "run")
    assert "make test" in text_of(ROOT / "README.md")
    assert re.search(r"^check:.*\bcoverage\b", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert "$(ALL_TESTS)" in recipe("test")
    assert "$(ALL_TESTS)" in recipe("coverage")


@pytest.mark.parametrize(
    "name", ["LICENSE", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
)
def test_the_papers_of_a_project_are_there(name: str) -> None:
    assert ROOT / name in project_files()


def test_the_changelog_knows_the_version_of_the_package() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in text_of(ROOT / "CHANGELOG.md")


def test_every_decision_is_one_page_with_its_parts() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert decisions
    for number, path in enumerate(decisions, start=1):
        assert path.name.startswith(f"{number:04d}-"), path.name
        text = text_of(path)
        assert text.count("\n") <= 80, path.name
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{path.name} has no {part}"
