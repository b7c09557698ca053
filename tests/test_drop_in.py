"""The losses in other people's training code: the examples learn, and the page shows what they do."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unifocal.losses import DeepSupervisionLoss, UnifiedFocalLoss

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "using-the-losses.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_it_learns(losses: list[float], dice: float, *, above: float) -> None:
    assert all(0 <= loss < float("inf") for loss in losses)
    assert sum(losses[-3:]) < 0.75 * sum(losses[:3])
    assert above < dice <= 1


# The examples


def test_a_plain_loop() -> None:
    """In bfloat16 it begins as in float32; without a processor for it each step takes seconds."""
    losses, dice = example("pytorch_loop").main(steps=30)
    assert_it_learns(losses, dice, above=0.5)
    rounded, _ = example("pytorch_loop").main(steps=3, bf16=True)
    assert rounded == pytest.approx(losses[:3], rel=0.02)
    assert rounded != losses[:3]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning", "ignore:.*LeafSpec:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_lightning() -> None:
    pytest.importorskip("lightning")
    assert_it_learns(*example("lightning_module").main(epochs=2), above=0.5)


def test_monais_supervised_trainer() -> None:
    pytest.importorskip("monai")
    pytest.importorskip("ignite", reason="MONAI's engines need pytorch-ignite")
    module = example("monai_trainer")
    labels = []

    class Watched(UnifiedFocalLoss):
        def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
            labels.append(target)
            return super().forward(logits, target, weight)

    module.UnifiedFocalLoss = Watched
    assert_it_learns(*module.main(epochs=3), above=0.3)
    assert {(type(label).__name__, label.dtype, label.shape[1:2]) for label in labels} == {
        ("MetaTensor", torch.float32, (1,))
    }


def test_deep_supervision_of_dynunet() -> None:
    pytest.importorskip("monai")
    assert_it_learns(*example("deep_supervision").main(steps=20), above=0.3)


def test_an_example_runs_as_a_script() -> None:
    command = [sys.executable, ROOT / "examples" / "pytorch_loop.py", "--bf16", "--steps", "2"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"step   0  loss 0\.\d+\nstep   1  loss 0\.\d+\nDice on unseen images \d\.\d+\n", run.stdout)


# nnU-Net


def test_nnunets_form_of_training() -> None:
    assert_it_learns(*example("nnunet_trainer").main(steps=45), above=0.5)


def pyramid(full: Tensor) -> list[Tensor]:
    """Targets as nnU-Net's loader makes them, finest first."""
    sizes = [[side // step for side in full.shape[2:]] for step in (1, 2, 4)]
    return [F.interpolate(full.float(), size, mode="nearest-exact").to(full.dtype) for size in sizes]


def heads(channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, s, s, s, generator=generator).requires_grad_() for s in (16, 8, 4)]


@pytest.mark.parametrize("dtype", [torch.int16, torch.float32])
def test_nnunets_class_indices_and_ignore_label(dtype: torch.dtype) -> None:
    indices = torch.randint(0, 4, (2, 1, 16, 16, 16), generator=torch.Generator().manual_seed(1))
    outputs, targets = heads(3), pyramid(indices.to(dtype))
    build = example("nnunet_trainer").build_loss
    value = build(regions=False, ignore_label=3, batch_dice=True, outputs=3)(outputs, targets)
    loss = UnifiedFocalLoss(ignore_index=3, batch=True)
    parts = [loss(z, y.long()) for z, y in zip(outputs, targets, strict=True)]
    torch.testing.assert_close(value, (2 * parts[0] + parts[1]) / 3)
    value.backward()
    assert (outputs[0].grad.masked_select(indices == 3) == 0).all()
    assert outputs[2].grad is None


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_nnunets_regions_with_the_ignored_region_last(dtype: torch.dtype) -> None:
    labels = torch.randint(0, 4, (2, 1, 16, 16, 16), generator=torch.Generator().manual_seed(1))
    regions = torch.cat([labels.eq(1) | labels.eq(2), labels.eq(2), labels.eq(3)], dim=1)
    outputs, targets = heads(2), pyramid(regions.to(dtype))
    build = example("nnunet_trainer").build_loss
    value = build(regions=True, ignore_label=3, batch_dice=False, outputs=3)(outputs, targets)
    loss = UnifiedFocalLoss(activation="sigmoid", ignore_index=255)
    marked = [y[:, :2].long().masked_fill(y[:, 2:] == 1, 255) for y in targets]
    parts = [loss(z, y) for z, y in zip(outputs, marked, strict=True)]
    torch.testing.assert_close(value, (2 * parts[0] + parts[1]) / 3)
    without = build(regions=True, ignore_label=None, batch_dice=False, outputs=3)(outputs, [y[:, :2] for y in targets])
    assert without.item() != value.item()


def test_nnunet_without_deep_supervision_and_distributed() -> None:
    build = example("nnunet_trainer").build_loss
    assert isinstance(build(regions=False, ignore_label=None, batch_dice=False, outputs=None), UnifiedFocalLoss)
    assert build(regions=False, ignore_label=None, batch_dice=False, outputs=1).weights == (1,)
    alone, together = (
        build(regions=False, ignore_label=None, batch_dice=False, outputs=4, distributed=d).weights
        for d in (False, True)
    )
    assert alone == pytest.approx((4 / 7, 2 / 7, 1 / 7, 0))
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[-1] > 0


def test_the_trainer_asks_nnunet_for_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    class nnUNetTrainer:  # noqa: N801
        label_manager = SimpleNamespace(has_regions=False, ignore_label=2)
        configuration_manager = SimpleNamespace(batch_dice=True)
        enable_deep_supervision = True
        is_ddp = False

        def _get_deep_supervision_scales(self) -> list[list[float]]:
            return [[1.0, 1.0], [0.5, 0.5], [0.25, 0.25]]

    package = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"
    for depth in range(1, 5):
        monkeypatch.setitem(sys.modules, ".".join(package.split(".")[:depth]), ModuleType("stand-in"))
    sys.modules[package].nnUNetTrainer = nnUNetTrainer
    trainer = example("nnunet_trainer").nnUNetTrainerUnifiedFocal()
    assert isinstance(trainer, nnUNetTrainer)
    deep = trainer._build_loss()
    assert isinstance(deep, DeepSupervisionLoss)
    assert deep.weights == pytest.approx((2 / 3, 1 / 3, 0))
    assert (deep.loss.options.ignore_index, deep.loss.options.batch) == (2, True)
    trainer.enable_deep_supervision = False
    assert isinstance(trainer._build_loss(), UnifiedFocalLoss)


# The page


def excerpt_of(block: str) -> str | None:
    named = re.match(r"# examples/(\w+)\.py\n", block)
    return named and named[1]


def test_the_pages_python_runs() -> None:
    torch.manual_seed(0)
    namespace: dict[str, object] = {"__name__": "page"}
    own = [block for block in BLOCKS if not excerpt_of(block)]
    assert len(own) >= 8
    for block in own:
        exec(compile(block, str(PAGE), "exec"), namespace)


@pytest.mark.parametrize("block", [block for block in BLOCKS if excerpt_of(block)], ids=excerpt_of)
def test_the_pages_excerpts_stand_in_the_examples(block: str) -> None:
    source = (ROOT / "examples" / f"{excerpt_of(block)}.py").read_text(encoding="utf-8")
    lines = iter([re.sub(r"  # noqa.*", "", line).strip() for line in source.splitlines()])
    for line in block.splitlines()[1:]:
        assert line.strip() in lines, line


def test_every_example_is_named_on_the_page() -> None:
    named = set(re.findall(r"\(\.\./examples/(\w+\.py)\)", PAGE.read_text(encoding="utf-8")))
    assert named == {path.name for path in (ROOT / "examples").glob("*.py")}


def test_the_pages_links_lead_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        assert not path or (PAGE.parent / path).exists(), path
        assert path or anchor in anchors, anchor


def test_losses_are_modules_like_any_other() -> None:
    network = nn.ModuleDict({"body": nn.Conv2d(1, 2, 1), "loss": DeepSupervisionLoss(UnifiedFocalLoss())})
    assert list(network.state_dict()) == ["body.weight", "body.bias"]
    assert [type(m).__name__ for m in network["loss"].modules()] == ["DeepSupervisionLoss", "UnifiedFocalLoss"]
