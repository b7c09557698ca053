"""The pages about the losses are true: their Python runs, their links lead somewhere, their figures are the losses'."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from unifocal.losses import UnifiedFocalLoss, describe, names
from unifocal.losses.catalogue import MEMBERS, Reduction

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (DOCS / "losses.md", DOCS / "conventions.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SOURCES = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in (*PAGES, ROOT / "README.md")
    for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]
LINKS = [
    pytest.param(page, link, id=f"{page.name}-{link}")
    for page in PAGES
    for link in sorted(set(re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8"))))
]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(scope="module")
def make_losses() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        import make_losses

        yield make_losses


@pytest.fixture(scope="module")
def losses_figures(make_losses: ModuleType) -> ModuleType:
    import losses_figures

    return losses_figures


@pytest.mark.parametrize("code", SOURCES)
def test_its_python_runs(code: str) -> None:
    exec(code, {})


def test_every_library_has_an_example() -> None:
    page = (DOCS / "conventions.md").read_text(encoding="utf-8")
    for section in re.split(r"^#{2,3} ", page, flags=re.MULTILINE)[1:]:
        title = section.split("\n", maxsplit=1)[0]
        compares = "assert_close(" in section or not re.search("paper's text|code|MONAI|geodl|nnU|PyTorch|py", title)
        assert compares, title


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_its_links_lead_somewhere(page: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_says_what_the_catalogue_says(make_losses: ModuleType) -> None:
    page = make_losses.PAGE.read_text(encoding="utf-8")
    assert make_losses.filled(page, make_losses.PARTS) == page, "run: python docs/make_losses.py"
    assert len(re.findall("<!-- generated: ", page)) == len(make_losses.PARTS)
    assert [describe(name).title for name in names()] == [t for t in re.findall("### (.*)", page) if t in titles()]


def titles() -> set[str]:
    return {member.title for member in MEMBERS}


def test_a_formula_becomes_mathematics(make_losses: ModuleType) -> None:
    assert make_losses.math("α·mean (1 - TI)^(1-γ);  rare: β_c = δ") == (
        "\\begin{aligned}\n"
        "& \\alpha\\,\\mathrm{mean}\\,(1 - \\mathrm{TI})^{1-\\gamma} \\\\\n"
        "& \\text{rare: }\\beta_c = \\delta\n"
        "\\end{aligned}"
    )
    for member in MEMBERS:
        assert make_losses.math(member.formula).isascii()


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
def test_the_pull_is_the_slope_of_the_loss(make_losses: ModuleType, gamma: float) -> None:
    for wanted in (0.0, 0.3, 0.95):
        logit = torch.tensor(wanted * 0.5 / (1 - wanted * 0.5) + 1e-9, dtype=torch.float64).log().requires_grad_()
        target = torch.tensor([[[1, 0]]])
        slopes = []
        for each in (gamma, 0.0):
            # A hit of p and a false alarm of 1-p make the index p, with delta = 1/2.
            logits = torch.stack([logit, -logit]).view(1, 1, 2)
            loss = UnifiedFocalLoss(0.5, each, region_weight=1, include_background=False, smooth=1e-12)
            slopes += torch.autograd.grad(loss(logits, target), logit)
        index = logit.sigmoid().item()
        assert make_losses.pull_at(gamma, index) == pytest.approx((slopes[0] / slopes[1]).item(), rel=1e-6)


def test_figures_are_those_that_the_code_draws(make_losses: ModuleType, losses_figures: ModuleType) -> None:
    """The same but for the last digits, which another processor may round differently."""
    for name, drawn in losses_figures.figures().items():
        kept = (losses_figures.IMAGES / name).read_text(encoding="utf-8")
        assert words(kept) == words(drawn), "run: python docs/make_losses.py"
        np.testing.assert_allclose(numbers(kept), numbers(drawn), atol=0.01)
        assert "<dc:date>" not in kept
        assert re.search(r'<g id="patch_1">\s*<path [^>]*style="fill: #fefefe"', kept), "no background of its own"


def words(svg: str) -> str:
    return NUMBER.sub("", re.sub(r"(?:#|id=\")[mp][0-9a-f]{10}", "", svg))


def numbers(svg: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(re.sub(r"(?:#|id=\")[mp][0-9a-f]{10}", "", svg))]


def test_the_tree_leads_everywhere_that_the_catalogue_does(losses_figures: ModuleType) -> None:
    drawn: dict[str, set[str]] = {name: set() for name in names()}
    for member, reduction in losses_figures.direct_reductions():
        drawn[member.name].add(reduction.to)

    def reached(name: str) -> set[str]:
        return drawn[name].union(*(reached(below) for below in drawn[name]))

    assert reached("unified_focal") == set(names()) - {"unified_focal"}
    for member in MEMBERS:
        assert {reduction.to for reduction in member.reduces_to} <= reached(member.name)
    assert drawn["hybrid_focal"] == {"focal_tversky", "focal", "combo"}
    assert sum(map(len, drawn.values())) == 11


def test_an_arrow_is_left_out_only_where_others_say_the_same(losses_figures: ModuleType) -> None:
    member = describe("unified_focal")
    first = Reduction("unified_focal_symmetric", {"gamma": 0})
    half = {"gamma": 0, "delta": 0.5, "region_weight": 0}
    for whole, follows in [
        (Reduction("tversky", {"gamma": 0, "region_weight": 1}), True),
        (Reduction("tversky", {"region_weight": 1}), False),  # gamma = 0 is asked for on the way
        (Reduction("cross_entropy", half, scale=0.5), True),
        (Reduction("cross_entropy", half, scale=0.25), False),
        (Reduction("cross_entropy", half, scale=0.5, offset=1.0), False),
    ]:
        assert losses_figures._follows(member, whole, first) is follows, whole


def test_nothing_in_the_tree_overlaps(losses_figures: ModuleType) -> None:
    with losses_figures.house_style():
        figure = losses_figures.family_tree()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (axes,) = figure.axes
        boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, FancyBboxPatch)]
        texts = {text.get_text(): text.get_window_extent(canvas.get_renderer()) for text in axes.texts}
        frame = figure.bbox
    assert titles() <= set(texts)
    for box in boxes:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for text, extent in texts.items():
        assert frame.x0 <= extent.x0 < extent.x1 <= frame.x1, text
        inside = text in titles() | set(names())
        for box in boxes:
            within = box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
            assert not extent.overlaps(box) or (inside and within), text
    for one, other in combinations(texts, 2):
        assert not texts[one].overlaps(texts[other]), (one, other)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9])
def test_curves_are_those_of_the_formula(losses_figures: ModuleType, gamma: float) -> None:
    p, loss = map(np.asarray, losses_figures.voxel_curve(gamma))
    np.testing.assert_allclose(loss, -np.log(p) * (1 - p) ** gamma, rtol=1e-9)
    p, loss = map(np.asarray, losses_figures.voxel_curve(gamma, rare=True))
    np.testing.assert_allclose(loss, -np.log(p), rtol=1e-9)
    index, loss = map(np.asarray, losses_figures.region_curve(gamma))
    away = index < 1 - 1e-6  # nearer to 1, 1-TI as the test takes it has no digits left
    np.testing.assert_allclose(loss[away], (1 - index[away]) ** (1 - gamma), rtol=1e-6)
    assert index[0] < 0.01
    assert index[-1] > 1 - 1e-9
