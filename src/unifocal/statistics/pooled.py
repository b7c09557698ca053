"""Figures of all cases together, kept apart from the patients' means; and what is undefined."""

import numpy as np
import pandas as pd

from unifocal.metrics.overlap import OVERLAP_METRICS, Counts, overlap_scores

_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")
_LESIONS = ("lesions_truth", "lesions_found", "lesions_prediction", "lesions_false")
_POOLED = ["loss", "label", "metric", "value", "n_cases"]
_UNDEFINED = ["loss", "label", "metric", "reason"]


def pool(scores: pd.DataFrame, losses: tuple[str, ...]) -> pd.DataFrame:
    """Overlap and lesion metrics of the summed counts of all cases, folds and seeds, per loss and label."""
    pixels, lesions = _sums(scores, _COUNTS), _sums(scores, _LESIONS)
    rows: list[tuple[object, ...]] = []
    keys = sorted({*pixels, *lesions}, key=lambda key: (losses.index(key[0]), key[1]))
    for key in keys:
        if key in pixels:
            found = overlap_scores(Counts(*(int(number) for number in pixels[key][0])))
            for name in OVERLAP_METRICS:
                value = found[name][0]
                rows.append((*key, name, np.nan if value is None else value, pixels[key][1]))
        if key in lesions:
            rows += [(*key, name, value, lesions[key][1]) for name, value in _lesions(*lesions[key][0]).items()]
    return pd.DataFrame(rows, columns=_POOLED)


def _sums(scores: pd.DataFrame, names: tuple[str, ...]) -> dict[tuple[str, int], tuple[tuple[float, ...], int]]:
    """Per loss and label with all of these counts: their sums, and the number of cases."""
    counted = scores[scores["metric"].isin(names) & scores["value"].notna()]
    if counted.empty:
        return {}
    sums = counted.pivot_table(index=["loss", "label"], columns="metric", values="value", aggfunc="sum")
    sums = sums.reindex(columns=list(names)).dropna()
    n_cases = counted.groupby(["loss", "label"])["case"].nunique()
    return {
        (str(loss), int(label)): (tuple(map(float, row)), int(n_cases[(loss, label)]))
        for (loss, label), row in zip(sums.index, sums.to_numpy(), strict=True)
    }


def _lesions(truth: float, found: float, prediction: float, false: float) -> dict[str, float]:
    recall = found / truth if truth else np.nan
    precision = (prediction - false) / prediction if prediction else (0.0 if truth else np.nan)
    # Twice the product over the sum, written so that an empty truth or prediction gives 0, as in each case.
    hits = found * (prediction - false)
    f1 = (
        2 * hits / (found * prediction + (prediction - false) * truth)
        if hits
        else (0.0 if truth or prediction else np.nan)
    )
    return {"lesion_recall": recall, "lesion_precision": precision, "lesion_f1": f1}


def count_undefined(scores: pd.DataFrame, losses: tuple[str, ...]) -> pd.DataFrame:
    """How many scores are undefined, and why: one row per loss, label, metric and reason."""
    undefined = scores[scores["value"].isna()]
    if undefined.empty:
        return pd.DataFrame(columns=[*_UNDEFINED, "n_scores", "n_patients"])
    reasons = undefined["reason"] if "reason" in undefined else pd.Series("", index=undefined.index, dtype=object)
    undefined = undefined.assign(reason=reasons.astype(object).where(reasons.notna(), "").astype(str))
    groups = undefined.groupby(_UNDEFINED, sort=False)
    counted = groups.agg(n_scores=("value", "size"), n_patients=("patient", "nunique")).reset_index()
    places = {loss: place for place, loss in enumerate(losses)}
    counted = counted.assign(place=counted["loss"].map(places))
    ordered = counted.sort_values(["label", "metric", "place", "reason"], ignore_index=True)
    return ordered[[*_UNDEFINED, "n_scores", "n_patients"]]
