"""docs/metrics.md says what the metrics say of themselves, and names what exists."""

import importlib
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest

from unifocal.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make_metrics() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        import make_metrics

        yield make_metrics


def test_the_page_is_up_to_date(make_metrics: ModuleType) -> None:
    assert make_metrics.filled(PAGE, make_metrics.PARTS) == PAGE, "run: python docs/make_metrics.py"
    assert len(re.findall("<!-- generated: ", PAGE)) == len(make_metrics.PARTS)
    assert all(f"| `{name}` |" in PAGE and f"(`{name}`)." in PAGE for name in METRICS)


def test_every_source_is_listed() -> None:
    listed = PAGE.split("## Sources")[1]
    sources = {metric.source for metric in METRICS.values()} - {""}
    assert all(f"\n- {source}: " in listed for source in sources)
    assert len(re.findall("^- ", listed, re.MULTILINE)) == len(sources)


def test_its_python_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(code, {})


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE):
        assert (DOCS / link).exists(), link


def test_what_others_call_it_exists(make_metrics: ModuleType) -> None:
    assert list(make_metrics.ELSEWHERE) == [name for name, metric in METRICS.items() if metric.direction]
    checked = set()
    for place in (place for columns in make_metrics.ELSEWHERE.values() for column in columns for place in column):
        package, *path = place.split(" ")[0].strip(":").split(".")
        if package.startswith("`") or not importlib.util.find_spec(package):
            continue
        module = importlib.import_module(
            ".".join([package, *path[:-1]]) if path[0] in {"metrics", "classification"} else package
        )
        names = path[-1:] if path[0] in {"metrics", "classification"} else path
        assert reduce(getattr, names, module), place
        checked.add(package)
    assert checked >= {"monai", "sklearn", "SimpleITK", "skimage", "surface_distance"}
