"""docs/settings.md says what the settings say of themselves, and what it says is taken."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from unifocal.config.resolve import resolve
from unifocal.config.schema import StudyConfig

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w.]+)` \| (?:`(.*?)`|–) \|", PAGE, re.MULTILINE)
DEFAULTS = StudyConfig(out=Path("out"))


@pytest.fixture(scope="module")
def make_settings() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        import make_settings

        yield make_settings


def test_the_page_is_up_to_date(make_settings: ModuleType) -> None:
    assert make_settings.filled(PAGE, make_settings.PARTS) == PAGE, "run: python docs/make_settings.py"


def test_it_has_every_setting() -> None:
    def leaves(values: dict[str, object], prefix: str = "") -> Iterator[str]:
        for name, value in values.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict) and value:
                yield from leaves(value, f"{key}.")
            else:
                yield key

    tuned = DEFAULTS.model_copy(update={"tuning": resolve(StudyConfig, config=None, settings=["tuning.trials=20"],
                                                          flags={}).tuning})  # fmt: skip
    assert {key for key, _ in ROWS} == set(leaves(tuned.model_dump(mode="json")))


@pytest.mark.parametrize(("key", "default"), [row for row in ROWS if row[1]])
def test_its_defaults_are_those_of_the_program(key: str, default: str) -> None:
    section, _, name = key.rpartition(".")
    given = resolve(StudyConfig, config=None, settings=[f"{key}={default}"], flags={"out": Path("out")})
    plain = DEFAULTS if section != "tuning" else resolve(
        StudyConfig, config=None, settings=["tuning.inner_folds=3"], flags={"out": Path("out")}
    )  # fmt: skip
    found = getattr(getattr(given, section) if section else given, name)
    wanted = getattr(getattr(plain, section) if section else plain, name)
    assert found == (pytest.approx(wanted, rel=1e-2) if isinstance(wanted, float) else wanted)


def test_its_example_is_taken(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "settings.yaml").write_text(example[1])
    taken = resolve(StudyConfig, config=tmp_path / "settings.yaml", settings=["training.batch_size=4"], flags={})
    assert taken.training.epochs == yaml.safe_load(example[1])["training"]["epochs"]
