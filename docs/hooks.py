"""What mkdocs needs to show these pages as they stand in the repository.

Links that lead out of docs/ become text, formulas become MathML (which browsers draw without any script), lists may
be indented by two spaces, `folder/*` in the navigation stands for all pages of a folder, and notebooks become pages.
"""

import logging
import posixpath
import re
from pathlib import Path
from re import Match
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

LOG = logging.getLogger("mkdocs.hooks.unifocal")
ROOT = Path(__file__).parents[1]
NOTEBOOK = re.compile(r"\]\(([\w./-]+)\.ipynb\)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s#]*)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Fill in the navigation, and teach Markdown what these pages use."""
    config.nav = [_filled(entry, Path(config.docs_dir)) for entry in config.nav]
    config.markdown_extensions.append(Pages())
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "math", "format": _block}]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Put a page in the place of each notebook, with its figures beside it."""
    for notebook in [each for each in files if each.src_uri.endswith(".ipynb")]:
        files.remove(notebook)
        name = posixpath.splitext(notebook.src_uri)[0]
        resources = {"unique_key": posixpath.basename(name), "output_files_dir": f"{posixpath.basename(name)}_files"}
        body, found = MarkdownExporter().from_filename(notebook.abs_src_path, resources=resources)
        # The text that stands for a figure is the kind of its file.
        body = re.sub(r"!\[(?:png|svg)\]\(", "![What the code above draws](", body)
        # The theme draws tables that bring no style of their own.
        body = body.replace('<table border="1" class="dataframe">', "<table>")
        files.append(File.generated(config, f"{name}.md", content=body))
        for path, content in found["outputs"].items():
            files.append(File.generated(config, posixpath.join(posixpath.dirname(name), path), content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links out of docs/ into text, and links to notebooks into links to their pages."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def text(found: Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(folder, found[2]))
        if place.startswith("docs/"):
            return found[0]
        if not (ROOT / place).exists():
            LOG.warning("%s links to %s, which does not exist", page.file.src_uri, place)
        shown = found[1].strip("`")
        return f"`{shown}`" if place.endswith(shown) else f"{found[1]} (`{place}`)"

    return LINK.sub(text, NOTEBOOK.sub(r"](\1.md)", markdown))


class Pages(Extension):
    """Lists as GitHub reads them, and formulas between dollars."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Called by Markdown."""
        md.tab_length = 2
        # After code (190), before escapes (180).
        md.inlinePatterns.register(_Inline(r"\$([^$\n]+)\$", md), "formula", 185)


class _Inline(InlineProcessor):
    def handleMatch(self, m: Match[str], data: str) -> tuple[Element | str, int, int]:  # type: ignore[override]  # noqa: ARG002, N802
        return self.md.htmlStash.store(mathml(m[1], display="inline")), m.start(0), m.end(0)


def _block(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="formula">{mathml(source, display="block")}</div>'


def mathml(tex: str, display: str) -> str:
    """A formula for browsers; words stay whole, and `aligned` goes by the name that the converter knows."""
    tex = re.sub(r"\\mathrm\{(\w+)\}", r"\\text{\1}", tex).replace("{aligned}", "{split}")
    return re.sub(r"<mi>(\w{2,})</mi>", r"<mtext>\1</mtext>", convert(tex, display=display))


def _filled(entry: Any, docs: Path) -> Any:
    """An entry of the navigation, with `folder/*` replaced by the folder's pages in the order of its README.md."""
    if isinstance(entry, dict):
        return {title: _filled(below, docs) for title, below in entry.items()}
    if isinstance(entry, list):
        return [_filled(each, docs) for each in entry]
    if not entry.endswith("/*"):
        return entry
    folder = docs / entry.removesuffix("/*")
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    others = sorted({page.name for page in folder.glob("*.md")} - {"README.md", *listed})
    names = dict.fromkeys(["README.md", *listed, *others])
    return [f"{folder.name}/{name}" for name in names]
