"""`unifocal data check`: what it prints, and how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from real_images import real_data
from unifocal.cli.app import describe
from unifocal.cli.data_check import check
from unifocal.problems import InputError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(9):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"n{number}.png")
        Image.fromarray(np.eye(20, 30, number, dtype=np.uint8) * 255).save(folder / "masks" / f"n{number}.png")
    rows = "".join(f"n{number},p{number // 2}\n" for number in range(9))
    (folder / "cases.csv").write_text(f"case,patient\n{rows}")
    return folder


def run(*arguments: str | Path) -> int:
    """The exit code; wrapped as the application has it."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(check)
    try:
        app([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    except InputError as error:
        sys.stderr.write(describe(error))
        return 2
    return 0


def spoil(data: Path) -> None:
    for number in range(7):
        (data / "images" / f"n{number}.png").write_bytes(b"")
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(data / "masks" / "n8.png")
    (data / "masks" / "n7.png").unlink()


def test_sound_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data) == 0
    out, err = capsys.readouterr()
    assert out == f"{data} (folders): 9 cases of 5 patients; 0 errors, 0 warnings\n"
    assert "Reading cases: 9 to do" in err


def test_errors_come_first_by_kind_and_no_more_than_asked_for(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data)
    assert run(data) == 2
    out = capsys.readouterr().out
    assert out.index("Errors: 8") < out.index("Warnings: 1") < out.index("8 errors, 1 warning")
    assert "unreadable (7)" in out
    assert out.count("0 bytes") == 5
    assert "... and 2 more" in out
    assert "mask-empty (1)" in out
    assert run(data, "--all") == 2
    assert capsys.readouterr().out.count("0 bytes") == 7


def test_json_is_all_that_is_printed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data)
    assert run(data, "--json") == 2
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {"data", "layout", "cases", "patients", "errors", "warnings"}
    assert (content["data"], content["layout"], content["cases"], content["patients"]) == (str(data), "folders", 8, 5)
    assert len(content["errors"]) == 8
    assert {tuple(problem) for problem in content["errors"]} == {("kind", "where", "what", "remedy")}
    assert [problem["kind"] for problem in content["warnings"]] == ["mask-empty"]
    assert all(problem["kind"] for problem in content["errors"])


def test_a_split_is_checked(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = tmp_path / "split.csv"
    split.write_text("case,fold\n" + "".join(f"n{number},{number % 2}\n" for number in range(9)))
    assert run(data, "--split", split) == 2
    assert "patient-on-both-sides" in capsys.readouterr().out


def test_a_mended_copy(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data)
    assert run(data, "--fix", tmp_path / "mended", "--json") == 2
    content = json.loads(capsys.readouterr().out)
    assert content["mended"] == {"mended": 0, "copied": 1, "left out": 7}
    assert run(data, "--fix", tmp_path / "again") == 2
    assert "fixes.csv says what was done" in capsys.readouterr().out
    assert run(data, "--fix", tmp_path / "again") == 2
    assert "is not empty" in capsys.readouterr().out
    assert run(data, "--fix", data / "inside") == 2
    assert "inside the data" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nowhere"], [], ["nowhere", "--split", "none.csv"], ["--layout", "nnunett"]])
def test_nothing_to_check(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*(tmp_path / name if name == "nowhere" else name for name in arguments)) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "->" in out + err


def test_names_that_are_not_utf_8_can_be_printed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsencode(data / "images") + b"/bad\xff.png"
    try:
        Path(os.fsdecode(name)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert run(data) == 2
    assert run(data, "--json") == 2
    capsys.readouterr().out.encode("utf-8")


def test_everything_of_the_shared_data_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    folder = real_data()
    expected: dict[str, tuple[int, set[str]]] = {
        "brain_t1ce": (314, set()),
        "drive": (40, {"patient-missing"}),
        "cvc_clinicdb": (612, set()),
        "msd_hippocampus": (260, {"patient-missing"}),
        "brats2015": (6, set()),
    }
    for name, (cases, warnings) in expected.items():
        if not (folder / name).is_dir():
            continue
        assert run(folder / name, "--json") == 0
        content: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert content["cases"] == cases
        assert content["errors"] == []
        assert {problem["kind"] for problem in content["warnings"]} <= warnings


def test_an_interrupt_ends_it_quietly(data: Path, tmp_path: Path) -> None:
    code = (
        # A shell starts its background jobs with interruptions ignored.
        "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from unifocal.experiments import check; from pathlib import Path\n"
        "from unifocal.config.schema import DataConfig\n"
        "from unifocal.config.verbs import CheckConfig\n"
        "from unifocal.experiments.progress import ConsoleReporter\n"
        "reporter = ConsoleReporter(); reporter.advance = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        f"config = CheckConfig(data=DataConfig(folder=Path({str(data)!r})), fix=Path({str(tmp_path / 'out')!r}))\n"
        "try: check.run_check(config, reporter=reporter)\n"
        "except KeyboardInterrupt: print('interrupted', len(os.listdir('/proc/self/task')) < 50)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("interrupted")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_place_for_the_copy_that_is_taken_is_refused_before_the_check(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    for place in (tmp_path / "taken", data / "inside"):
        assert run(data, "--fix", place, "--json") == 2
        told = json.loads(capsys.readouterr().out)
        assert [each["kind"] for each in told["errors"]] in (["out-not-empty"], ["out-inside-data"])
    assert not (data / "inside").exists()


def test_no_copy_is_written_where_nothing_can_be_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import nibabel as nib

    folder = tmp_path / "Dataset001_Two"
    labels = {"background": 0, "lesion": 1}
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    said = {"channel_names": {"0": "a", "1": "b"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(said))
    volume = np.random.default_rng(0).normal(size=(2, 8, 9, 10)).astype(np.float32)
    for channel in (0, 1):
        nib.save(nib.Nifti1Image(volume[channel], np.eye(4)), folder / "imagesTr" / f"c_000{channel}.nii.gz")
    nib.save(nib.Nifti1Image((volume[0] > 1).astype(np.uint8), np.eye(4)), folder / "labelsTr" / "c.nii.gz")
    assert run(folder) == 0
    capsys.readouterr()
    assert run(folder, "--fix", tmp_path / "copy") == 2
    assert "2 channels, for which two folders have no place" in capsys.readouterr().out
    assert not (tmp_path / "copy").exists()


def test_labels_and_regions_exclude_each_other(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "--labels", "1", "--set", "data.regions={whole: [1, 2]}", "--json") == 2
    assert [each["kind"] for each in json.loads(capsys.readouterr().out)["errors"]] == ["labels-and-regions"]
