"""docs/preprocessing.md says what the steps say of themselves."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from unifocal.config.schema import PreprocessingConfig
from unifocal.experiments.plan import image_pipeline
from unifocal.preprocessing.pipeline import STEPS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "preprocessing.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]


def test_the_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    import make_preprocessing

    assert make_preprocessing.filled(PAGE, make_preprocessing.PARTS) == PAGE, "run: python docs/make_preprocessing.py"
    assert all(f"| `{name}` |" in PAGE for name in STEPS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_its_examples_are_pipelines(example: dict[str, Any]) -> None:
    pipeline = image_pipeline(PreprocessingConfig.model_validate(example["preprocessing"]), channels=1)
    assert len(pipeline.steps) >= 4
