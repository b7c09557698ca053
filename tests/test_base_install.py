"""The base install: the losses need torch alone, and cost next to nothing to import."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

# What torch itself does without. NumPy is among them: torch only warns when it is missing.
OPTIONAL = [
    *("PIL", "batchgeneratorsv2", "filelock", "ignite", "jinja2", "lightning", "matplotlib", "monai", "nibabel"),
    *("numpy", "optuna", "pandas", "pydantic", "pytorch_lightning", "ray", "rich", "scipy", "SimpleITK", "skimage"),
    *("sklearn", "tifffile", "tqdm", "triton", "typer", "yaml"),
]


def in_a_fresh_interpreter(code: str, *options: str) -> dict[str, object]:
    """What `code` prints last, as JSON."""
    run = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_the_package_requires_torch_alone() -> None:
    base = [r for r in map(Requirement, requires("unifocal")) if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert [requirement.name for requirement in base] == ["torch"]


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """The modules that importing the losses adds to those of torch, and those that their use adds."""
    return in_a_fresh_interpreter(
        """
        import json, sys
        import torch
        torchs = set(sys.modules)
        import unifocal.losses
        at_import = set(sys.modules) - torchs
        for name in unifocal.losses.names():
            unifocal.losses.create(name)(torch.zeros(1, 2, 4, requires_grad=True), torch.ones(1, 4).long()).backward()
        in_use = set(sys.modules) - torchs - at_import
        print(json.dumps({"at_import": sorted(at_import), "in_use": sorted(in_use)}))
        """
    )


def test_importing_the_losses_adds_no_foreign_module(imported: dict[str, list[str]]) -> None:
    others = [name for name in imported["at_import"] if name.split(".")[0] not in sys.stdlib_module_names]
    foreign = [name for name in others if name != "unifocal" and not name.startswith("unifocal.losses")]
    assert foreign == []


def test_importing_the_losses_adds_few_modules(imported: dict[str, list[str]]) -> None:
    """An import takes well below a millisecond per module; 0.2 s beyond torch is what we promise."""
    assert "unifocal.losses.members" in imported["at_import"]
    assert len(imported["at_import"]) < 60


def test_using_the_losses_adds_no_foreign_module(imported: dict[str, list[str]]) -> None:
    tops = {name.split(".")[0] for name in imported["in_use"]}
    assert tops - sys.stdlib_module_names <= {"torch", "unifocal"}


def test_every_loss_works_without_any_optional_package() -> None:
    values = in_a_fresh_interpreter(
        f"""
        import sys
        refused = set({OPTIONAL!r})

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in refused:
                    raise ModuleNotFoundError(f"{{name}} is refused", name=name)

        sys.meta_path.insert(0, Refuse())
        import json, warnings
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*NumPy")
            import torch
        from unifocal.losses import DeepSupervisionLoss, create, names
        torch.manual_seed(0)
        cases = []
        for channels, activation in ((1, "softmax"), (2, "softmax"), (3, "softmax"), (3, "sigmoid")):
            logits = torch.randn(2, channels, 8, 8, requires_grad=True)
            soft = torch.rand(2, channels, 8, 8).softmax(1) if channels > 1 else torch.rand(2, 1, 8, 8)
            hard = torch.randint(0, max(2, channels), (2, 8, 8))
            for target in (soft,) if activation == "sigmoid" else (hard, soft):
                cases.append((logits, target, activation))
        values = {{}}
        for name in names():
            for implementation in ("fused", "formula"):
                for logits, target, activation in cases:
                    loss = create(name, activation=activation, implementation=implementation)
                    value = DeepSupervisionLoss(loss)([logits, logits[..., ::2, ::2]], target)
                    (gradient,) = torch.autograd.grad(value, logits)
                    assert gradient.isfinite().all() and gradient.any(), name
                values.setdefault(name, []).append(value.item())
        assert not refused & set(sys.modules), refused & set(sys.modules)
        print(json.dumps(values))
        """,
        "-W",
        "error",
    )
    assert len(values) == 10
    for fused, formula in values.values():
        assert fused == pytest.approx(formula, rel=1e-5)
