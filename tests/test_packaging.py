"""What a stranger's machine is promised."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~ \[;]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def test_the_losses_need_torch_alone() -> None:
    assert names(PROJECT["dependencies"]) == {"torch"}


def test_everything_that_setup_installs_is_pinned() -> None:
    wanted = names(
        [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    )
    assert wanted <= {name.lower().replace("_", "-") for name in PINNED}


def test_the_releases_of_lightning_with_malware_are_excluded() -> None:
    (lightning,) = [r for r in PROJECT["optional-dependencies"]["all"] if r.startswith("lightning")]
    assert "!=2.6.2" in lightning
    assert "!=2.6.3" in lightning
    assert PINNED["lightning"] not in {"2.6.2", "2.6.3"}


def test_torchvision_and_torchaudio_are_not_depended_on() -> None:
    assert not {"torchvision", "torchaudio"} & {name.lower() for name in PINNED}


def test_no_registry_is_named() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", ".pre-commit-config.yaml"):
        assert not re.search(r"--(extra-)?index-url|--find-links|https?://", (ROOT / name).read_text()), name
