"""The README is true: its file map, its Python, its commands."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "unifocal"


def mapped() -> dict[str, str]:
    files, folder = {}, ""
    for place, name, words in re.findall(r"^\| (.*?) ?\| `(\w+\.py)` \| (.*) \|$", README, re.MULTILINE):
        folder = place.strip("`/ ") if place else folder
        files[name if folder == "." else f"{folder}/{name}"] = words
    return files


def test_the_file_map_lists_every_file_and_no_other() -> None:
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert set(mapped()) == files


def test_the_file_map_takes_about_five_words() -> None:
    assert all(1 <= len(words.split()) <= 6 for words in mapped().values())


def test_no_file_is_over_400_lines() -> None:
    files = [path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    # Other people's packages, which a benchmark installs.
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    assert {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > 400} == {}


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_its_python_runs(code: str) -> None:
    exec(code, {})


@pytest.mark.parametrize("line", re.findall(r"^unifocal .*$", README, re.MULTILINE))
def test_its_commands_have_only_known_options(line: str) -> None:
    import typer

    from unifocal.cli.app import app

    command = typer.main.get_command(app)
    words = shlex.split(line.split("#", maxsplit=1)[0])[1:]
    with command.make_context("unifocal", [], resilient_parsing=True) as context:
        while words and not words[0].startswith("-"):
            found = getattr(command, "get_command", lambda *_: None)(context, words[0])
            if found is None:
                break
            command, words = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", README, re.MULTILINE))
def test_its_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
