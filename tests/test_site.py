"""The site: it builds without a warning and needs no network; the pages' commands and Python are real."""

import logging
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from unifocal.config.resolve import resolve
from unifocal.config.schema import StudyConfig, TrainConfig, TuneConfig
from unifocal.config.verbs import EvaluateConfig, PredictConfig
from unifocal.problems import InputError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))}
# Their Python runs in test_docs.py, test_drop_in.py, test_metrics_page.py.
ELSEWHERE = {"losses.md", "conventions.md", "using-the-losses.md", "metrics.md"}

# The pages


def python_blocks() -> list[Any]:
    return [
        pytest.param(code, id=f"{name}-{number}")
        for name, text in PAGES.items()
        if name not in ELSEWHERE
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    ]


def commands_of(text: str) -> list[str]:
    """Commands in blocks, continued lines joined, and in running text."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = [line.strip() for line in lines] + re.findall(r"`(unifocal [^`]+)`", prose)
    return [line for line in found if line.startswith("unifocal ")]


COMMANDS = [(name, line) for name, text in PAGES.items() for line in dict.fromkeys(commands_of(text))]


def words_of(line: str) -> list[str]:
    """A command's words, without what a shell takes: remarks and the file that the output goes to."""
    words = shlex.split(line, comments=True)[1:]
    return words[: words.index(">")] if ">" in words else words


def parsed(words: list[str]) -> dict[str, Any]:
    """What the command line makes of them, before any file is looked for; fails on unknown verbs and flags."""
    import typer

    from unifocal.cli.app import app

    command: Any = typer.main.get_command(app)
    context = command.make_context("unifocal", [], resilient_parsing=True)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no such verb: {words[0]}"
        command, words = command.commands[words[0]], words[1:]
        context = command.make_context(command.name, [], parent=context, resilient_parsing=True)
    context.resilient_parsing = False
    values, rest, _ = command.make_parser(context).parse_args(args=list(words))
    assert not rest
    return dict(values)


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}-{line}" for page, line in COMMANDS])
def test_a_page_s_command_is_one(page: str, line: str) -> None:
    if not re.match(r"unifocal [A-Z]", line):  # `unifocal VERB --help`
        parsed(words_of(line))


def test_what_is_no_command_is_seen() -> None:
    text = "Take `unifocal compare --lossess x`:\n\n```sh\nunifocal  data \\\n  chekc here\nls\n```\n"
    lines = commands_of(text)
    assert len(lines) == 2
    for line in lines:
        with pytest.raises(Exception, match=r"no such verb: chekc|--lossess"):
            parsed(words_of(line))


NEEDS: list[tuple[type[Any], dict[str, Any]]] = [
    (StudyConfig, {}),
    (TrainConfig, {"out": "out"}),
    (TuneConfig, {"out": "out"}),
    (PredictConfig, {"out": "out", "model": "model", "images": "images"}),
    (EvaluateConfig, {"out": "out", "truth": "truth", "predictions": ["masks"]}),
]
SETTINGS = sorted(
    {
        (name, setting)
        for name, text in PAGES.items()
        for one in re.findall(r"--set ('[^'\n]+'|[^\s`')]+)", text)
        if "NAME" not in (setting := one.strip("'"))
    }
)


@pytest.mark.parametrize(("page", "setting"), SETTINGS)
def test_a_page_s_setting_is_one(page: str, setting: str) -> None:
    def known(schema: type[Any], flags: dict[str, Any]) -> bool:
        try:
            resolve(schema, config=None, settings=[setting], flags=flags)
        except InputError:
            return False
        return True

    assert any(known(schema, flags) for schema, flags in NEEDS)


@pytest.mark.parametrize("code", python_blocks())
def test_a_page_s_python_runs(code: str) -> None:
    exec(code, {})


# The site

needs_mkdocs = pytest.mark.skipif(
    not all(map(find_spec, ("mkdocs", "material", "mkdocstrings", "latex2mathml"))),
    reason="needs mkdocs-material, mkdocstrings and latex2mathml, as the extra 'dev' brings them",
)


class Resources(HTMLParser):
    """What a page loads, and its title."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.title = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self._in_title = tag == "title"
        if tag in {"script", "img", "iframe", "source", "object", "embed", "video", "audio"}:
            self.loaded += [known.get("src") or "", known.get("data") or "", known.get("srcset") or ""]
        # A canonical address is not loaded.
        if tag == "link" and known.get("rel") != "canonical":
            self.loaded.append(known.get("href") or "")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
            self._in_title = False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, but for the folder."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not re.search(r"warning|error", run.stdout + run.stderr, re.IGNORECASE), run.stderr
    return folder


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, Resources]:
    pages = {}
    for file in sorted(site.rglob("*.html")):
        pages[file.relative_to(site).as_posix()] = page = Resources()
        page.feed(file.read_text(encoding="utf-8"))
    return pages


@needs_mkdocs
def test_every_page_is_built_and_has_a_title(built: dict[str, Resources]) -> None:
    titles = {}
    for name, text in PAGES.items():
        page = built[re.sub(r"README\.md$", "index.md", name).removesuffix(".md") + ".html"]
        titles[name] = page.title.removesuffix(" - unifocal")
        if name != "index.md":
            heading = re.match(r"# (.*)\n", text)
            assert heading is not None, name
            assert titles[name] == re.sub("[`*]", "", heading[1])
    assert len(set(titles.values())) == len(titles)


@needs_mkdocs
def test_nothing_is_loaded_from_elsewhere(site: Path, built: dict[str, Resources]) -> None:
    for name, page in built.items():
        assert page.loaded
        assert [place for place in page.loaded if re.match(r"(https?:)?//", place)] == [], name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), style.name
    assert (site / "search" / "search_index.js").is_file()


@needs_mkdocs
def test_formulas_links_and_docstrings_are_drawn(site: Path) -> None:
    family = (site / "losses.html").read_text(encoding="utf-8")
    assert family.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 3 + 10
    assert "\\mathrm" not in re.sub(r"<[^>]*>", "", family)
    assert "$" not in re.sub(r"<script.*?</script>|<[^>]*>", "", family, flags=re.DOTALL)
    own_code = (site / "using-the-losses.html").read_text(encoding="utf-8")
    assert "<code>examples/pytorch_loop.py</code>" in own_code
    reference = (site / "reference" / "losses.html").read_text(encoding="utf-8")
    import unifocal.losses

    public = [name for name in unifocal.losses.__all__ if not name.isupper()]
    assert [name for name in public if f'id="unifocal.losses.{name}"' not in reference] == []


@needs_mkdocs
def test_a_link_out_of_the_pages_must_lead_somewhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from types import SimpleNamespace

    monkeypatch.syspath_prepend(DOCS)
    import hooks

    page = SimpleNamespace(file=SimpleNamespace(src_uri="results/some.md"))
    links = (
        "[a](../metrics.md)",
        "[the README](../../README.md#x)",
        "[`src/unifocal`](../../src/unifocal)",
        "[b](../../no.py)",
    )
    with caplog.at_level(logging.WARNING):
        shown = hooks.on_page_markdown(", ".join(links), page)
    assert shown == "[a](../metrics.md), the README (`README.md`), `src/unifocal`, b (`no.py`)"
    assert "results/some.md links to no.py" in caplog.text
