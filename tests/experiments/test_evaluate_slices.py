"""`evaluate` on 2D masks: what values mean, and probabilities."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_scores import QUICK, scores_of
from PIL import Image
from sklearn.metrics import average_precision_score

Call = Callable[..., tuple[int, str, str]]
no_report = pytest.mark.usefixtures("no_report")


@no_report
def test_each_side_may_write_its_foreground_its_own_way(tmp_path: Path, unifocal: Call) -> None:
    random = np.random.default_rng(1)
    for name in ("truth", "zero_one", "labels"):
        (tmp_path / name).mkdir()
    for number in range(3):
        mask = (random.random((20, 22)) < 0.3).astype(np.uint8)
        Image.fromarray(mask * 255).save(tmp_path / "truth" / f"{number}.png")
        np_mask = mask.copy()
        np_mask[:2] = 0
        Image.fromarray(np_mask).save(tmp_path / "zero_one" / f"{number}.tif")
        np_mask[5, :4] = 2
        Image.fromarray(np_mask).save(tmp_path / "labels" / f"{number}.png")
    given = ("--truth", tmp_path / "truth", "--pred", tmp_path / "zero_one", "--pred", tmp_path / "labels")
    code, _, err = unifocal("evaluate", *given, "--out", tmp_path / "o", *QUICK)
    assert code == 0
    assert "labels" in err
    assert "no true mask holds" in err
    scores = scores_of(tmp_path / "o")
    assert set(scores["label"]) == {1, 2}
    assert set(scores["unit"]) == {"", "px"}
    truth = np.array(Image.open(tmp_path / "truth" / "0.png")) > 0
    mine = truth.copy()
    mine[:2] = False
    found = scores.query("loss == 'zero_one' and case == '0' and label == 1 and metric == 'dice'")["value"].item()
    assert found == pytest.approx(2 * (truth & mine).sum() / (truth.sum() + mine.sum()))


@no_report
@pytest.mark.parametrize("kind", ["nnU-Net", "plain"])
def test_probabilities_are_scored_and_kept(kind: str, tmp_path: Path, unifocal: Call) -> None:
    random = np.random.default_rng(2)
    for name in ("truth", "pred"):
        (tmp_path / name).mkdir()
    known = {}
    for number in range(3):
        truth = np.zeros((20, 22), np.uint8)
        truth[4:12, 5:15] = 1
        truth[14:18, 5:15] = 2
        channels = np.stack([(truth == label) * 4.0 for label in range(3)]) + random.normal(0, 2, (3, 20, 22))
        channels = (np.exp(channels) / np.exp(channels).sum(0)).astype(np.float32)
        for name, mask in (("truth", truth), ("pred", channels.argmax(0).astype(np.uint8))):
            Image.fromarray(mask).save(tmp_path / name / f"c{number}.png")
        if kind == "nnU-Net":
            np.savez_compressed(tmp_path / "pred" / f"c{number}.npz", probabilities=channels[:, None])
        else:
            np.save(tmp_path / "pred" / f"c{number}.npy", channels)
        known[f"c{number}"] = truth, channels
    given = ("--truth", tmp_path / "truth", "--pred", tmp_path / "pred", "--probabilities", tmp_path / "pred")
    assert unifocal("evaluate", *given, "--out", tmp_path / "o", "--metric", "average_precision", *QUICK)[0] == 0
    scores = scores_of(tmp_path / "o").set_index(["case", "label", "metric"])["value"]
    bins = pd.read_csv(tmp_path / "o" / "probabilities.csv.gz", dtype={"case": str, "patient": str})
    assert list(bins.columns) == [
        "loss", "fold", "seed", "case", "patient", "label", "bin", "elements", "positives", "probability_sum",
    ]  # fmt: skip
    for (case, (truth, channels)), label in [(item, label) for item in known.items() for label in (1, 2)]:
        inside, likely = (truth == label).ravel(), channels[label].ravel()
        assert scores[case, label, "average_precision"] == pytest.approx(average_precision_score(inside, likely))
        assert scores[case, label, "brier"] == pytest.approx(np.mean((likely - inside) ** 2), rel=1e-5)
        mine = bins[(bins["case"] == case) & (bins["label"] == label)]
        assert mine["elements"].sum() == truth.size
        assert mine["positives"].sum() == inside.sum()
        assert mine["probability_sum"].sum() == pytest.approx(likely.sum(), rel=1e-6)
        assert (mine["elements"] > 0).all()
    # Without them the table of an earlier evaluation must not stay.
    assert unifocal("evaluate", *given[:4], "--out", tmp_path / "o", *QUICK)[0] == 0
    assert not (tmp_path / "o" / "probabilities.csv.gz").exists()


def test_probabilities_that_do_not_fit_are_named(tmp_path: Path, unifocal: Call) -> None:
    for name in ("truth", "pred", "likely"):
        (tmp_path / name).mkdir()
    truth = np.zeros((8, 9), np.uint8)
    truth[2:5, 2:5] = 1
    good = np.stack([1.0 - truth, truth]).astype(np.float32)
    for number in range(8):
        for name in ("truth", "pred"):
            Image.fromarray(truth).save(tmp_path / name / f"c{number}.png")
    likely = tmp_path / "likely"
    np.save(likely / "c0.npy", good)
    np.save(likely / "c1.npy", good[:, :5])
    np.savez(likely / "c2.npz", probabilities=np.concatenate([good, good]), other=good)
    np.savez(likely / "c3.npz", a=good, b=good)
    (likely / "c4.npz").write_bytes((likely / "c2.npz").read_bytes()[:300])
    np.save(likely / "c5.npy", truth[None])
    np.save(likely / "c6.npy", np.full((3, 8, 9, 2, 2), 0.5, np.float32))
    given = ("--truth", tmp_path / "truth", "--pred", tmp_path / "pred", "--out", tmp_path / "o", "--labels", "1")
    code, out, err = unifocal("evaluate", *given, "--probabilities", likely)
    assert code == 2
    assert "Traceback" not in out + err
    for number in (1, 3, 4, 5, 6):
        assert f"c{number}.np" in err
    assert "1 predicted cases: c7" in err
    assert "c0.npy" not in err
    for number in (1, 3, 4, 5, 6, 7):
        for path in likely.glob(f"c{number}.*"):
            path.unlink()
        np.save(likely / f"c{number}.npy", good * (3 if number == 4 else 1))
    (likely / "c2.npz").unlink()
    np.save(likely / "c2.npy", good)
    code, out, err = unifocal("evaluate", *given, "--probabilities", likely)
    assert code == 2
    assert "no probabilities" in err
    assert "c4.npy" in err
    assert not (tmp_path / "o").exists()
    code, _, err = unifocal("evaluate", *given, "--pred", f"b={tmp_path / 'likely'}", "--probabilities", f"x={likely}")
    assert code == 2
