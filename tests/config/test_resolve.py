"""Configuration: defaults, file, flags, --set; and every mistake told at once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifocal.config.resolve import resolve
from unifocal.config.schema import LossConfig, StudyConfig, TrainConfig
from unifocal.config.values import parse_losses
from unifocal.config.verbs import EvaluateConfig
from unifocal.problems import InputError


def study(*, config: Path | None = None, settings: tuple[str, ...] = (), **flags: Any) -> StudyConfig:
    dotted = {key.replace("__", "."): value for key, value in flags.items()}
    return resolve(StudyConfig, config=config, settings=settings, flags={"out": "o"} | dotted)


def problems(**arguments: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        study(**arguments)
    return {problem.where: f"{problem.what}. {problem.remedy}" for problem in caught.value.problems}


def test_flags_beat_the_file_and_set_beats_flags(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("training: {epochs: 1, batch_size: 1, learning_rate: 0.5}\nseeds: [4, 5]\n")
    resolved = study(config=file, settings=("training.epochs=3",), training__epochs=2, training__batch_size=2)
    assert (resolved.training.epochs, resolved.training.batch_size, resolved.training.learning_rate) == (3, 2, 0.5)
    assert resolved.seeds == (4, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("128", (128, 128)), ("512x800", (512, 800)), (96, (96, 96)), ([64, 32], (64, 32)), ("64 X 32", (64, 32))],
)
def test_sizes(text: object, expected: tuple[int, int]) -> None:
    assert study(preprocessing__size=text).preprocessing.size == expected


@pytest.mark.parametrize("text", ["x", "4", "128x", "1x2x3", "-5", "12.5"])
def test_bad_sizes_are_named(text: str) -> None:
    assert any(where.startswith("preprocessing.size") for where in problems(preprocessing__size=text))


def test_losses_with_parameters() -> None:
    resolved = study(losses="bce, focal(alpha=0.25, gamma=3),monai.losses:DiceFocalLoss(sigmoid=True)")
    assert resolved.losses == (
        LossConfig(name="bce"),
        LossConfig(name="focal", parameters={"alpha": 0.25, "gamma": 3}),
        LossConfig(name="monai.losses:DiceFocalLoss", parameters={"sigmoid": True}),
    )
    assert [loss.label for loss in resolved.losses][1] == "focal(alpha=0.25, gamma=3)"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["bce", "focal", "a.b:C"]),
            st.dictionaries(
                st.sampled_from(["alpha", "gamma", "delta"]),
                st.one_of(st.integers(-5, 5), st.floats(-2, 2), st.lists(st.integers(0, 3), max_size=3), st.none()),
                max_size=3,
            ),
        ),
        min_size=1,
    )
)
def test_a_loss_reads_back_from_its_label(losses: list[tuple[str, dict[str, Any]]]) -> None:
    wanted = [LossConfig(name=name, parameters=parameters) for name, parameters in losses]
    text = ",".join(loss.label for loss in wanted)
    assert [LossConfig(**loss) for loss in parse_losses(text)] == wanted


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("trainning: {epochs: 1}\ntraining: {epoch: 3, batch_size: 0}\nsplit: {folds: 1}\n")
    found = problems(config=file, settings=("nonsense", "seeds=[]"), losses="bce,focal(3)")
    assert "Did you mean training" in found["trainning"]
    assert "Did you mean epochs?" in found["training.epoch"]
    assert "greater than or equal to 1" in found["training.batch_size"]
    assert "split.folds" in found
    assert "Write --set key=value" in found["--set nonsense"]
    assert "seeds" in found
    assert "write parameter=value" in found["losses"]


@pytest.mark.parametrize("content", ["[1, 2]", "a: b: c", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    assert list(problems(config=file)) == [str(file)]


def test_a_missing_file_and_a_missing_out_are_named(tmp_path: Path) -> None:
    assert list(problems(config=tmp_path / "no.yaml")) == [str(tmp_path / "no.yaml")]
    with pytest.raises(InputError, match="Give --out"):
        resolve(TrainConfig, config=None, settings=[], flags={})


def test_no_data_means_the_phantom() -> None:
    assert study().data.is_phantom
    assert not study(data__folder="d").data.is_phantom
    assert not study(data__images="d").data.is_phantom


@pytest.mark.parametrize(
    ("flags", "out"),
    [({}, "studies/phantom"), ({"data.folder": Path("/x/brain")}, "studies/brain"), ({"out": Path("o")}, "o")],
)
def test_a_study_is_named_after_its_data(flags: dict[str, Path], out: str) -> None:
    assert resolve(StudyConfig, config=None, settings=[], flags=flags).out == Path(out)


def evaluation(predictions: object) -> dict[str, Path]:
    flags = {"truth": "t", "out": "o", "predictions": predictions}
    return resolve(EvaluateConfig, config=None, settings=(), flags=flags).predictions


def test_folders_of_predictions_have_names(tmp_path: Path) -> None:
    odd = tmp_path / "x=y"
    odd.mkdir()
    assert evaluation(["a/masks", "b = 2=c/d"]) == {"masks": Path("a/masks"), "b": Path("2=c/d")}
    assert evaluation([str(odd), f"named={odd}"]) == {"x=y": odd, "named": odd}
    assert evaluation("runs/lr=0.1/masks") == {"masks": Path("runs/lr=0.1/masks")}
    assert evaluation({"ours": "a", "theirs": "b"}) == {"ours": Path("a"), "theirs": Path("b")}
    for wrong in (["a/m", "b/m"], [], {}, ["x=a", "x=b"]):
        with pytest.raises(InputError, match="predictions"):
            evaluation(wrong)


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf", "much"])
def test_a_margin_is_a_number_above_zero(margin: str) -> None:
    assert "margin" in problems(margin=margin)
    assert study(margin="0.01").margin == 0.01


@pytest.mark.parametrize(
    "text",
    ["{config: 1, identity: 2}", "{config: {}, identity: {}}", "{config: {split: 3}, identity: {network: {}}}",
     "{config: [1], identity: {network: {}}}"],
)  # fmt: skip
def test_another_records_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match="something else than a comparison"):
        resolve(StudyConfig, config=tmp_path / "study.yaml", settings=[], flags={})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_may_be_in_utf_16_with_its_mark(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding in {"utf-16-le", "utf-16-be"} else ""
    (tmp_path / "c.yaml").write_bytes(f"{mark}seeds: [4, 5]\nlabel: 1  # größer\n".encode(encoding))
    assert study(config=tmp_path / "c.yaml").seeds == (4, 5)


@pytest.mark.parametrize("content", [b"seeds: [\xe4]\n", b"\xff\xfes", b"\x00\x01"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    assert "is not valid YAML" in problems(config=tmp_path / "c.yaml")[str(tmp_path / "c.yaml")]


def test_regions_without_values_and_too_many_are_refused() -> None:
    assert "data.regions.b" in problems(settings=("data.regions={a: [1], b: []}",))
    many = ", ".join(f"r{number}: [{number}]" for number in range(1, 18))
    assert "data.regions" in problems(settings=(f"data.regions={{{many}}}",))
