"""What a study keeps of its networks' probabilities, and studies from before it kept any."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Call = Callable[..., tuple[int, str, str]]
TINY = (
    "--losses", "bce", "--folds", "2", "--epochs", "2", "--size", "32", "--jobs", "1", "--resamples", "200",
    "--set", "network.width=4", "--set", "network.depth=2",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip
METRICS = {"ece", "brier", "average_precision"}
TABLE = "probabilities.csv.gz"


@pytest.fixture(scope="module", autouse=True)
def _no_report() -> Iterator[None]:
    """The report has its own tests."""
    from unifocal.experiments import conclude

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conclude, "write_report", lambda folder, _analysis: folder / "report.html")
        yield


@pytest.fixture(scope="module")
def study(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("study") / "s"
    assert run(["compare", "--data", str(phantom), "--out", str(out), *TINY]) == 0
    return out


def bins_of(study: Path) -> pd.DataFrame:
    return pd.read_csv(study / TABLE, dtype={"case": str, "patient": str})


def forget(study: Path, *, fold: int) -> None:
    """Make a run one of an earlier version: without probabilities, and without the scores that need them."""
    place = study / "runs" / "bce" / f"fold-{fold}-seed-0"
    (place / TABLE).unlink()
    scores = pd.read_csv(place / "scores.csv", dtype=str, keep_default_na=False)
    scores[~scores["metric"].isin(METRICS)].to_csv(place / "scores.csv", index=False, lineterminator="\n")


def test_the_table_counts_every_pixel_of_every_case(study: Path) -> None:
    bins = bins_of(study)
    scores = pd.read_csv(study / "scores.csv", dtype={"case": str}).set_index(["case", "metric"])["value"]
    assert set(bins["case"]) == set(scores.index.get_level_values("case"))
    assert bins["bin"].between(0, 99).all()
    for case, rows in bins.groupby("case"):
        assert rows["elements"].sum() == 48 * 48
        assert rows["positives"].sum() == scores[case, "true_positives"] + scores[case, "false_negatives"]
        # The mask is where the probability is above 1/2.
        above = rows["bin"] >= 50
        predicted = scores[case, "true_positives"] + scores[case, "false_positives"]
        assert rows.loc[above, "elements"].sum() == predicted
        assert rows.loc[above, "positives"].sum() == scores[case, "true_positives"]
        mean = rows["probability_sum"] / rows["elements"]
        assert (mean.between(rows["bin"] / 100 - 1e-6, (rows["bin"] + 1) / 100 + 1e-6)).all()
        # Within a bin probabilities differ by 0.01 at most.
        share = rows["positives"] / rows["elements"]
        brier = (rows["elements"] * ((mean - share) ** 2 + share * (1 - share))).sum() / rows["elements"].sum()
        assert scores[case, "brier"] == pytest.approx(brier, abs=0.01)
        assert 0 <= scores[case, "ece"] <= 1
        assert 0 < scores[case, "average_precision"] <= 1


def test_it_is_that_of_its_runs_and_the_same_in_every_study(
    study: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    parts = [gzip.decompress((study / "runs" / "bce" / f"fold-{k}-seed-0" / TABLE).read_bytes()) for k in (0, 1)]
    header = parts[0].splitlines()[0]
    whole = gzip.decompress((study / TABLE).read_bytes()).splitlines()
    assert whole == [header, *parts[0].splitlines()[1:], *parts[1].splitlines()[1:]]
    assert unifocal("compare", "--data", phantom, "--out", tmp_path / "s", *TINY)[0] == 0
    assert (tmp_path / "s" / TABLE).read_bytes() == (study / TABLE).read_bytes()


def test_the_verdict_may_rest_on_probabilities(study: Path, phantom: Path, unifocal: Call) -> None:
    for metric in sorted(METRICS):
        code, out, _ = unifocal("compare", "--data", phantom, "--out", study, *TINY, "--metric", metric)
        assert code == 0
        assert metric in out


def test_studies_of_earlier_versions_still_conclude(study: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    old = tmp_path / "s"
    shutil.copytree(study, old)
    forget(old, fold=0)
    code, _, err = unifocal("compare", "--data", phantom, "--out", old, *TINY)
    assert code == 0
    assert "1 of 2 runs were done by an earlier version" in err
    assert set(bins_of(old)["fold"]) == {1}
    forget(old, fold=1)
    code, _, err = unifocal("compare", "--data", phantom, "--out", old, *TINY)
    assert code == 0
    assert "2 of 2 runs" in err
    assert not (old / TABLE).exists()
    assert not METRICS & set(pd.read_csv(old / "summary.csv")["metric"])
    assert unifocal("report", old)[0] == 0
    code, _, err = unifocal("report", old, "--metric", "brier")
    assert code == 2
    assert "brier" in err


def test_runs_of_earlier_and_later_versions_stand_together(
    study: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    shutil.copytree(study, tmp_path / "s")
    forget(tmp_path / "s", fold=0)
    shutil.rmtree(tmp_path / "s" / "runs" / "bce" / "fold-1-seed-0")
    assert unifocal("compare", "--data", phantom, "--out", tmp_path / "s", *TINY)[0] == 0
    new = bins_of(study).query("fold == 1").reset_index(drop=True)
    pd.testing.assert_frame_equal(bins_of(tmp_path / "s"), new)


def test_the_margin_is_passed_on_and_kept_for_its_own_metric(
    study: Path, phantom: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.experiments import conclude

    asked: list[tuple[object, ...]] = []
    analyse = conclude.analyse

    def spy(scores: pd.DataFrame, **given: object) -> object:
        asked.append((given["metric"], given["margin"], given["noun"], given["resamples"]))
        return analyse(scores, **given)

    monkeypatch.setattr(conclude, "analyse", spy)
    shutil.copytree(study, tmp_path / "s")
    settings = (tmp_path / "s" / "study.yaml").read_text()
    (tmp_path / "s" / "study.yaml").write_text(settings.replace("  margin: null", "  margin: 0.05"))
    for extra in ((), ("--metric", "hd95"), ("--metric", "hd95", "--margin", "1.5"), ("--margin", "0.1")):
        assert unifocal("report", tmp_path / "s", *extra, "--resamples", "300")[0] == 0
    assert asked == [
        ("dice", 0.05, "loss", 300), ("hd95", None, "loss", 300),
        ("hd95", 1.5, "loss", 300), ("dice", 0.1, "loss", 300),
    ]  # fmt: skip
    assert unifocal("compare", "--data", phantom, "--out", study, *TINY, "--margin", "0.07")[0] == 0
    assert asked[-1] == ("dice", 0.07, "loss", 200)


def test_old_study_files_without_a_margin_are_read(study: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(study, tmp_path / "s")
    path = tmp_path / "s" / "study.yaml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "margin" not in line))
    assert unifocal("report", tmp_path / "s")[0] == 0


def test_several_labels_have_a_probability_each(tmp_path: Path, unifocal: Call) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "d" / folder).mkdir(parents=True)
    for case in range(4):
        labels = np.zeros((40, 40), np.uint8)
        labels[5:20, 5:20], labels[22:35, 22:30] = 1, 4
        image = labels * 40.0 + random.normal(60, 5, labels.shape)
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "d" / "images" / f"{case}.png")
        Image.fromarray(labels).save(tmp_path / "d" / "masks" / f"{case}.png")
    assert unifocal("compare", "--data", tmp_path / "d", "--out", tmp_path / "s", *TINY)[0] == 0
    bins = bins_of(tmp_path / "s")
    assert set(bins["label"]) == {1, 4}
    sums = bins.groupby(["case", "label"])[["elements", "positives"]].sum()
    assert set(sums["elements"]) == {1600}
    assert sums["positives"].unstack().drop_duplicates().values.tolist() == [[225, 104]]
    scores = pd.read_csv(tmp_path / "s" / "scores.csv")
    assert set(scores.query("metric == 'brier'")["label"]) == {1, 4}
