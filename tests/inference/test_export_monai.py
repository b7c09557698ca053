"""Exported MONAI bundles: MONAI's own runner writes the masks of `unifocal predict`, and nothing half-written stays."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle.properties import InferProperties, MetaProperties
from numpy.typing import NDArray
from PIL import Image

from unifocal.inference.export_onnx import ExportError
from unifocal.inference.monai_configs import network_definition
from unifocal.models import NetworkSpec, save_bundle
from unifocal.problems import InputError

Call = Callable[..., tuple[int, str, str]]
SMALL = {"width": 4, "depth": 2, "dropout": [], "normalization": "instance"}
# MONAI Bundle Specification, "metadata.json File": its mandatory keys, and those of tensor format specifiers.
MANDATORY = {
    "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task", "description",
    "authors", "copyright", "network_data_format",
}  # fmt: skip
SPECIFIER = {
    "type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data",
    "channel_def",
}  # fmt: skip
RUN = "import json, sys; from monai.bundle import run; [run(**one) for one in json.loads(sys.argv[1])]"


@pytest.fixture
def unifocal(capfd: pytest.CaptureFixture[str]) -> Call:
    from unifocal.cli.app import run

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def write_model(folder: Path, spec: NetworkSpec, size: tuple[int, ...], steps: list[Any], **details: Any) -> Path:
    """A model whose masks are speckled: where classes are so near each other, any rounding would show."""
    torch.manual_seed(1)
    network = spec.build().eval()
    with torch.no_grad():
        logits = network(torch.randn(1, spec.in_channels, *size))
        list(network.parameters())[-1].sub_(logits.mean(dim=(0, *range(2, logits.ndim))))
    known = {
        "labels": [1], "regions": {}, "label_names": {}, "grid": {"size": list(size), "spacing_mm": None},
        "inference": {}, "black_and_white": False, "loss": "focal",
        "pipeline": [{"channels": {"count": spec.in_channels}}, *steps],
    }  # fmt: skip
    folder.mkdir(parents=True)
    save_bundle(folder / "model.safetensors", network, spec, details=known | details)
    return folder


def write_volumes(folder: Path, channels: int = 1) -> Path:
    """Flipped, oblique with turned axes, slices far apart; one smaller than a window."""
    folder.mkdir()
    turned, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    affines = [np.diag([-1.0, 1.0, -2.0]), turned @ np.diag([0.9, 1.2, 0.8]), np.diag([0.7, 0.7, 5.0]), np.eye(3)]
    shapes = [(20, 18, 14), (17, 21, 15), (26, 22, 6), (9, 7, 5)]
    for number, (turn, shape) in enumerate(zip(affines, shapes, strict=True)):
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = turn, (number, -5, 8)
        for channel in range(channels):
            values = np.random.default_rng((number, channel)).normal(100, 30, shape).astype(np.float32)
            ending = f"_{channel:04d}" if channels > 1 else ""
            nib.save(nib.Nifti1Image(values, affine), folder / f"case{number}{ending}.nii.gz")
    return folder


def write_pictures(folder: Path, channels: int = 1) -> Path:
    folder.mkdir()
    for number, size in enumerate([(40, 56), (40, 56), (64, 64)]):
        shape = size if channels == 1 else (*size, channels)
        values = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(values).save(folder / f"slice{number}.png")
    return folder


def arguments_of(bundle: Path, images: Path, out: Path, **more: Any) -> dict[str, Any]:
    config = str(bundle / "configs" / "inference.json")
    return {
        "config_file": config, "bundle_root": str(bundle), "dataset_dir": str(images), "output_dir": str(out), **more,
    }  # fmt: skip


def run_apart(*runs: dict[str, Any]) -> None:
    """MONAI's runner in a process of its own; its command line where `fire`, which that needs, is installed."""
    if find_spec("fire"):
        flags = [[part for name, value in run.items() for part in (f"--{name}", value)] for run in runs]
        commands = [[sys.executable, "-m", "monai.bundle", "run", *each] for each in flags]
    else:
        commands = [[sys.executable, "-c", RUN, json.dumps(runs)]]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr


def run_here(arguments: dict[str, Any]) -> None:
    from monai.bundle import run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(**arguments, device="cpu", logging_file=False)


def read(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    if path.suffix == ".png":
        return np.asarray(Image.open(path)), np.eye(4)
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def assert_same_masks(expected: Path, found: Path, count: int, values: set[int]) -> None:
    names = sorted(path.name for path in expected.iterdir())
    assert len(names) == count
    assert sorted(path.name for path in found.iterdir()) == names
    seen: set[int] = set()
    for name in names:
        (wanted, place), (given, other_place) = read(expected / name), read(found / name)
        assert np.array_equal(wanted, given)
        assert np.array_equal(place, other_place)
        seen |= set(np.unique(given).tolist())
    assert seen == values


@pytest.fixture(scope="module")
def volume_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = NetworkSpec("unet", 1, 3, 3, {**SMALL, "strides": [[1, 2, 2], [2, 2, 2]]})
    steps = ["orient", {"resample": {"spacing_mm": [1.5, 1.0, 1.1]}}, "z_score"]
    names = {"1": "$__import__('os').mkdir('made')", "4": "%core"}
    return write_model(
        tmp_path_factory.mktemp("m") / "m3", spec, (8, 12, 12), steps, labels=[1, 4], label_names=names,
        inference={"batch_size": 2}, cleanings={"4": {"minimum_size": 3, "fill_holes": True}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def picture_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = NetworkSpec("unet", 1, 1, 2, SMALL)
    steps = [{"resize": {"size": [32, 32]}}, "unit"]
    return write_model(tmp_path_factory.mktemp("m") / "m2", spec, (32, 32), steps, black_and_white=True)


def test_monais_runner_segments_as_predict_does(
    volume_model: Path, picture_model: Path, tmp_path: Path, unifocal: Call
) -> None:
    runs = []
    models = (
        (volume_model, "volumes", (), write_volumes),
        (picture_model, "pictures.v1", ("--format", "monai"), write_pictures),
    )
    for model, name, flags, write in models:
        images, bundle = write(tmp_path / f"images-{name}"), tmp_path / name
        code, out, _ = unifocal("export", "--model", model, "--out", bundle, *flags)
        assert code == 0
        assert "MONAI builds the same network" in out
        assert unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / f"p-{name}")[0] == 0
        runs.append(arguments_of(bundle, images, tmp_path / f"q-{name}"))
    run_apart(*runs)
    assert_same_masks(tmp_path / "p-volumes" / "masks", tmp_path / "q-volumes", 4, {0, 1, 4})
    assert_same_masks(tmp_path / "p-pictures.v1" / "masks", tmp_path / "q-pictures.v1", 3, {0, 255})
    for original in (tmp_path / "images-volumes").iterdir():
        image, mask = nib.load(original), nib.load(tmp_path / "q-volumes" / original.name)
        assert mask.shape == image.shape
        assert np.array_equal(mask.affine, image.affine)


VOLUMES: dict[str, tuple[NetworkSpec, dict[str, Any], set[int]]] = {
    "regions of two channels": (
        NetworkSpec("unet", 2, 2, 3, SMALL),
        {"labels": [1, 2, 4], "regions": {"@whole": [1, 2, 4], "_target_": [4]}},
        {0, 1, 4},
    ),
    "mirrored, in slabs": (
        NetworkSpec("unet", 1, 3, 3, SMALL),
        {"labels": [1, 2], "inference": {"mirror": True, "overlap": 0.25, "weights": "constant", "memory": "20 kB"}},
        {0, 1, 2},
    ),
    "MONAI's network": (
        NetworkSpec("monai:BasicUNet", 1, 1, 3, {"features": [4, 4, 4, 4, 4, 4]}),
        {"grid": {"size": [32, 32, 32], "spacing_mm": None}},
        {0, 1},
    ),
}


@pytest.mark.parametrize("windows", [True, False])
def test_a_network_that_predicts_in_bfloat16_does_so_in_the_bundle(
    windows: bool, tmp_path: Path, unifocal: Call
) -> None:
    said = {"inference": {"precision": "bfloat16"}}
    if windows:
        model = write_model(
            tmp_path / "m", NetworkSpec("unet", 1, 1, 3, SMALL), (8, 12, 12), ["orient", "z_score"], **said
        )
        images = write_volumes(tmp_path / "images")
    else:
        steps = ["z_score", {"resize": {"size": [32, 32]}}]
        model = write_model(tmp_path / "m", NetworkSpec("unet", 1, 1, 2, SMALL), (32, 32), steps, **said)
        images = write_pictures(tmp_path / "images")
    bundle = tmp_path / "bundle"
    assert unifocal("export", "--model", model, "--out", bundle)[0] == 0
    predict = ("predict", "--model", model, "--images", images)
    assert unifocal(*predict, "--out", tmp_path / "p")[0] == 0
    assert unifocal(*predict, "--out", tmp_path / "r", "--set", "inference.precision=float32")[0] == 0
    run_here(arguments_of(bundle, images, tmp_path / "q"))
    assert_same_masks(tmp_path / "p" / "masks", tmp_path / "q", 4 if windows else 3, {0, 1})
    exact, rounded = (all_masks(tmp_path / name / "masks") for name in "rp")
    assert any(not np.array_equal(exact[name], rounded[name]) for name in exact)
    assert "bfloat16" in (bundle / "docs" / "README.md").read_text()


def all_masks(folder: Path) -> dict[str, NDArray[Any]]:
    return {path.name: read(path)[0] for path in folder.iterdir()}


@pytest.mark.parametrize("what", VOLUMES)
def test_other_volumes(what: str, tmp_path: Path, unifocal: Call) -> None:
    spec, details, values = VOLUMES[what]
    size = tuple(details.get("grid", {"size": (8, 12, 12)})["size"])
    model = write_model(tmp_path / "m", spec, size, ["orient", "z_score"], **details)
    images, bundle = write_volumes(tmp_path / "images", spec.in_channels), tmp_path / "bundle"
    assert unifocal("export", "--model", model, "--out", bundle)[0] == 0
    assert unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / "p")[0] == 0
    run_here(arguments_of(bundle, images, tmp_path / "q"))
    assert_same_masks(tmp_path / "p" / "masks", tmp_path / "q", 4, values)


def test_pictures_in_colour_with_a_spacing_of_the_users(tmp_path: Path, unifocal: Call) -> None:
    steps = [
        {"resample": {"spacing_mm": [0.7, 0.7]}},
        "z_score",
        {"resize": {"size": [36, 40]}},
        {"pad": {"multiple": 8}},
    ]
    model = write_model(tmp_path / "m", NetworkSpec("unet", 3, 3, 2, SMALL), (40, 40), steps, labels=[1, 300])
    images, bundle = write_pictures(tmp_path / "images", channels=3), tmp_path / "bundle"
    bundle.mkdir()
    assert unifocal("export", "--model", model, "--out", bundle)[0] == 0
    flags = ("--images", images, "--out", tmp_path / "p", "--spacing", "0.8x0.6")
    assert unifocal("predict", "--model", model, *flags)[0] == 0
    run_here(arguments_of(bundle, images, tmp_path / "q", spacing_mm=[0.8, 0.6]))
    assert_same_masks(tmp_path / "p" / "masks", tmp_path / "q", 3, {0, 1, 300})
    with pytest.raises(RuntimeError) as caught:
        run_here(arguments_of(bundle, write_volumes(tmp_path / "volumes"), tmp_path / "r"))
    told: BaseException | None = caught.value
    while told is not None and not isinstance(told, InputError):
        told = told.__cause__
    assert "case0.nii.gz: has 3 axes" in str(told)
    assert not (tmp_path / "r").exists()


def test_pictures_of_many_sizes_go_one_by_one(tmp_path: Path, unifocal: Call) -> None:
    model = write_model(tmp_path / "m", NetworkSpec("unet", 1, 1, 2, SMALL), (48, 64), [{"pad": {"multiple": 16}}])
    images, bundle = write_pictures(tmp_path / "images"), tmp_path / "bundle"
    assert unifocal("export", "--model", model, "--out", bundle)[0] == 0
    assert unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / "p")[0] == 0
    run_here(arguments_of(bundle, images, tmp_path / "q"))
    for path in (tmp_path / "p" / "masks").iterdir():
        wanted, given = read(path)[0], read(tmp_path / "q" / path.name)[0]
        # Prediction takes those of one size together, which rounds sums otherwise.
        assert np.count_nonzero(wanted != given) <= 2
        assert 0 < np.count_nonzero(given) < given.size


def test_a_bundle_is_complete_and_says_what_it_is(volume_model: Path, tmp_path: Path, unifocal: Call) -> None:
    from monai.bundle import verify_net_in_out

    bundle = tmp_path / "bundle"
    assert unifocal("export", "--model", volume_model, "--out", bundle)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert files == {
        "configs/inference.json", "configs/metadata.json", "configs/logging.conf", "models/model.pt", "docs/README.md",
    }  # fmt: skip
    config, said = (json.loads((bundle / "configs" / f"{name}.json").read_text()) for name in ("inference", "metadata"))
    assert said.keys() >= MANDATORY
    assert "unifocal" in said["required_packages_version"]
    given, pred = said["network_data_format"]["inputs"]["image"], said["network_data_format"]["outputs"]["pred"]
    assert given.keys() >= SPECIFIER
    assert pred.keys() >= SPECIFIER
    assert (given["num_channels"], given["spatial_shape"], pred["num_channels"]) == (1, [8, 12, 12], 3)
    assert list(pred["channel_def"]) == ["0", "1", "2"]
    for entry in (*InferProperties.values(), *MetaProperties.values()):
        part: Any = config | {"_meta_": said}
        for key in entry["id"].split("::") if entry["required"] else ():
            part = part[key]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verify_net_in_out(
            net_id="network_def", meta_file=str(bundle / "configs" / "metadata.json"), device="cpu",
            config_file=str(bundle / "configs" / "inference.json"),
        )  # fmt: skip
    weights = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in weights.values())
    readme = (bundle / "docs" / "README.md").read_text()
    assert "python -m monai.bundle run" in readme
    assert not Path("made").exists()


@pytest.mark.parametrize("argument", ["$1 + 1", "@device", "%other.json", {"_target_": "os.getcwd"}, [{"x": "$1"}]])
def test_arguments_that_monai_would_execute_are_refused(argument: Any) -> None:
    spec = NetworkSpec("monai:BasicUNet", 1, 1, 3, {"act": argument})
    with pytest.raises(ExportError, match="instruction"):
        network_definition(torch.nn.Identity(), spec)


def test_rates_that_no_block_has_are_no_way_around_that() -> None:
    arguments = {"depth": 1, "dropout": [0.1, 0.1, "$1 + 1"]}
    spec = NetworkSpec("unet", 1, 1, 2, arguments)
    with pytest.raises(ExportError, match="instruction"):
        network_definition(spec.build(), spec)


def test_networks_by_name_keep_their_arguments() -> None:
    spec = NetworkSpec("monai:BasicUNet", 2, 3, 3, {"act": ["leakyrelu", {"negative_slope": 0.2}]})
    assert network_definition(spec.build(), spec) == {
        "_target_": "monai.networks.nets.BasicUNet", "in_channels": 2, "out_channels": 3, "spatial_dims": 3,
        "act": ["leakyrelu", {"negative_slope": 0.2}],
    }  # fmt: skip


def test_another_network_leaves_nothing_behind(
    picture_model: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda state, path: save({k: 1.01 * v for k, v in state.items()}, path))
    code, _, err = unifocal("export", "--model", picture_model, "--out", tmp_path / "bundle")
    assert code == 1
    assert "differ" in err
    monkeypatch.setattr(torch, "save", lambda state, path: save(dict(list(state.items())[1:]), path))
    code, _, err = unifocal("export", "--model", picture_model, "--out", tmp_path / "bundle")
    assert code == 1
    assert "cannot build" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("full", (), "not empty"),
        ("file", (), "is a file"),
        ("model.bin", (), "--format monai"),
        ("model", ("--format", "onnx"), ".onnx"),
        ("model", ("--format", "keras"), "format"),
    ],
)
def test_what_cannot_be_written_is_told(
    picture_model: Path, tmp_path: Path, unifocal: Call, name: str, flags: tuple[str, ...], told: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".kept").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = unifocal("export", "--model", picture_model, "--out", tmp_path / name, *flags)
    assert code == 2
    assert told in err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "full" / ".kept").read_text() == (tmp_path / "file").read_text() == "mine"


def test_without_ignite_the_bundle_is_refused(
    picture_model: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ignite", None)
    code, _, err = unifocal("export", "--model", picture_model, "--out", tmp_path / "bundle")
    assert code == 2
    assert "pytorch-ignite" in err
    assert not list(tmp_path.iterdir())
