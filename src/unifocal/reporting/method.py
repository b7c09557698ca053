"""The method in words fit for a paper, from what the study recorded and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unifocal.metrics import METRICS
from unifocal.reporting.method_statistics import statistics_passage
from unifocal.reporting.method_work import race_passage, tuning_passage
from unifocal.reporting.preparation import preparation
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import judged_metrics
from unifocal.reporting.wording import count, enumeration
from unifocal.statistics.result import Analysis

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "stochastic gradient descent with Nesterov momentum"}
UNNAMED = "none given"
# What unifocal.augmentation.standard does.
AUGMENTATION = {
    "none": "No augmentation was used.",
    "standard": "Each training image was augmented on the fly, with probability 0.15 for each of: scaling (0.85 to "
    "1.25), rotation (-15 to 15 degrees), elastic deformation, mirroring, and brightness (times 0.5 to 2).",
}
PRECISION = {
    "bfloat16": "Computed in mixed precision (bfloat16).",
    "float32": "Computed in single precision (float32).",
}
INITIALIZATION = {"he": "He-normal", "xavier": "Glorot-uniform (Xavier)"}


@dataclass(frozen=True)
class Passage:
    """A titled paragraph of the method; `entries` are pairs of a term and what it means."""

    title: str
    text: str
    entries: tuple[tuple[str, str], ...] = ()


def method_passages(study: StudyView, analysis: Analysis) -> list[Passage]:
    """The method: data, preprocessing, split, network, training, losses (or methods), metrics, statistics.

    A sentence appears only where `study.yaml` or the scores say what it says.
    """
    is_trained = study.kind == "study"
    passages = [
        _protocol(study),
        Passage("Data", _data(study)),
        Passage("Preprocessing", preparation(study)),
        Passage("Split", _split(study) if is_trained else ""),
        Passage("Network", _network(study)),
        Passage("Training", _training(study)),
        Passage("Tuning", tuning_passage(study)),
        Passage("Racing", race_passage(study)),
        _losses(study) if is_trained else _methods(study),
        _metrics(study, analysis),
        Passage("Statistics", statistics_passage(study, analysis)),
    ]
    return [passage for passage in passages if passage.text or passage.entries]


def _protocol(study: StudyView) -> Passage:
    """The paper's settings that were taken up, what of them is not known, and what was changed."""
    about = study.setting("protocol")
    if not isinstance(about, Mapping):
        return Passage("Protocol", "")
    unconfirmed, departures = (about.get(key) or [] for key in ("unconfirmed", "departures"))
    budget = " Scaled down to a quick try." if study.setting("config", "budget") == "quick" else ""
    entries = [("Not confirmed", enumeration(list(unconfirmed)))] if unconfirmed else []
    entries += [("Departs from it", "; ".join(departures))] if departures else []
    title, source = about.get("title", about.get("name")), about.get("source", "")
    text = f"{title}. {source}.{budget} Settings that were given go before."
    return Passage("Protocol", text, tuple(entries))


def _sentences(parts: Iterable[str | bool | None]) -> str:
    return " ".join(part for part in parts if isinstance(part, str) and part)


def _data(study: StudyView) -> str:
    name = study.setting("data", "name")
    cases, patients = len(study.cases), study.cases["patient"].nunique()
    labels, foreground = study.setting("data", "labels"), study.setting("data", "foreground_percent")
    classes, fingerprint = study.setting("data", "classes"), study.setting("data", "hash")
    known = study.setting("data", "patients_known")
    of_patients = f" of {count(patients, 'patient')}" if known is not False else ""
    return _sentences(
        [
            f"{name + ': ' if name else ''}{count(cases, 'image')}{of_patients}.",
            known is False
            and "Which images belong to the same patient is not known; each was taken for a patient of its own.",
            isinstance(labels, list)
            and f"Segmented: {'label' if len(labels) == 1 else 'labels'} {enumeration([*map(str, labels)])}.",
            foreground is not None and f"Foreground: {float(foreground):.2g} % of the pixels on average.",
            isinstance(classes, Mapping)
            and bool(classes)
            and f"Classes: {', '.join(f'{kind or UNNAMED} ({number})' for kind, number in classes.items())}.",
            study.setting("data", "spacing_known") is False
            and "The pixel spacing is not known; distances and areas are in pixels.",
            fingerprint and f"Fingerprint of the files: {_short(fingerprint)}.",
        ]
    )


def _short(fingerprint: Any) -> str:
    return str(fingerprint)[:16]


def _split(study: StudyView) -> str:
    folds, by = study.setting("split", "folds"), study.setting("split", "by")
    number_of = len(folds) if isinstance(folds, list) else study.scores["fold"].nunique()
    share, fingerprint = study.setting("config", "split", "validation_share"), study.setting("split", "hash")
    unit = "images" if by == "image" else "patients"
    return _sentences(
        [
            _kind_of_split(study, number_of, unit),
            by == "patient"
            and study.setting("data", "patients_known") is not False
            and "No patient stood in more than one of a fold's training, validation and test parts.",
            by == "image" and "Images of the same patient may stand in the training and in the test part.",
            share is not None
            and f"{float(share) * 100:g} % of the {unit} outside the test part were kept for validation.",
            fingerprint and f"Fingerprint of the split: {_short(fingerprint)}.",
        ]
    )


def _kind_of_split(study: StudyView, folds: int, unit: str) -> str:
    kind, repeats = study.setting("split", "kind"), study.setting("split", "repeats")
    unseen = "each fold's test part was scored with weights that had never seen it."
    if kind == "official":
        return "The data set's official split, the same for every loss: only its test part was scored."
    if kind == "leave_one_group_out":
        group = study.setting("split", "group")
        return f"One fold per {group} ({folds} in all), tested on it alone, the same for every loss: {unseen}"
    if kind == "file":
        return f"The split into {count(folds, 'fold')} was given as a file, the same for every loss: {unseen}"
    if folds == 1:
        return f"One split over {unit}, the same for every loss."
    if isinstance(repeats, int) and repeats > 1:
        times = f"{folds // repeats}-fold cross-validation over {unit}, drawn {repeats} times"
        return f"{times}, the same for every loss: {unseen}"
    return f"Cross-validation with {count(folds, 'fold')} over {unit}, the same for every loss: {unseen}"


def _network(study: StudyView) -> str:
    network = study.setting("config", "network")
    if not isinstance(network, Mapping):
        return ""
    width, depth = network.get("width"), network.get("depth")
    dropout, normalization = network.get("dropout"), network.get("normalization")
    parameters = network.get("parameters")
    counted = parameters is not None and f"{int(parameters):,} parameters."
    name = str(network.get("name") or "")
    if ":" in name:
        given = network.get("arguments")
        written = ", ".join(f"{key} = {value}" for key, value in given.items()) if isinstance(given, Mapping) else ""
        return _sentences([f"{name}{f' ({written})' if written else ''}.", counted])
    return _sentences(
        [
            ("3D U-Net" if network.get("dimensions") == 3 else "U-Net")
            + " (Ronneberger et al. 2015)"
            + (f" with {count(int(depth), 'pooling step')}" if depth is not None else "")
            + (f" and {width} channels in the first block, doubled at each step" if width is not None else "")
            + ".",
            isinstance(dropout, Sequence)
            and bool(dropout)
            and f"Dropout from the first block to the bottleneck: {', '.join(f'{rate:g}' for rate in dropout)}.",
            normalization is not None
            and ("No normalisation." if normalization == "none" else f"{str(normalization).title()} normalisation."),
            network.get("initialization") in INITIALIZATION
            and f"Initial weights: {INITIALIZATION[network['initialization']]}.",
            counted,
        ]
    )


def _training(study: StudyView) -> str:
    training = study.setting("config", "training")
    if not isinstance(training, Mapping):
        return ""
    optimizer = training.get("optimizer")
    monitor = training.get("monitor", "loss")
    schedule = training.get("schedule", "plateau")
    factor, plateau, stop = (training.get(key) for key in ("plateau_factor", "plateau_patience", "stop_patience"))
    seeds = sorted(study.scores["seed"].unique())
    words = ", ".join(
        part
        for part in (
            OPTIMIZERS.get(str(optimizer), str(optimizer)) if optimizer else "",
            f"momentum {training['momentum']:g}" if optimizer == "sgd" and "momentum" in training else "",
            f"learning rate {training['learning_rate']:g}" if "learning_rate" in training else "",
            f"weight decay {training['weight_decay']:g}" if training.get("weight_decay") else "",
            f"batches of {training['batch_size']}" if "batch_size" in training else "",
            f"at most {count(int(training['epochs']), 'epoch')}" if "epochs" in training else "",
        )
        if part
    )
    return _sentences(
        [
            f"{words[:1].upper()}{words[1:]}." if words else None,
            schedule == "polynomial"
            and "The learning rate fell after every epoch, with the power 0.9 of the share of epochs that were left.",
            schedule != "polynomial"
            and factor is not None
            and plateau is not None
            and f"The learning rate was multiplied by {factor:g} after {count(int(plateau), 'epoch')} without a better "
            f"validation {monitor}.",
            stop is not None and f"Training stopped after {count(int(stop), 'epoch')} without a better one.",
            f"The weights of the epoch with the best validation {monitor} were kept.",
            PRECISION.get(str(study.setting("machine", "precision"))),
            AUGMENTATION.get(str(training.get("augmentation"))),
            f"Within a fold and seed {_alike(study)} started from the same initial weights.",
            f"{'Seed' if len(seeds) == 1 else 'Seeds'}: {enumeration([str(seed) for seed in seeds])}.",
        ]
    )


def _alike(study: StudyView) -> str:
    over = study.setting("config", "tuning", "over")
    searched = [item.get("name") for item in over if isinstance(item, Mapping)] if isinstance(over, list) else []
    return "losses whose networks have the same width" if "width" in searched else "every loss"


def _losses(study: StudyView) -> Passage:
    entries = study.setting("losses")
    described = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping):
            continue
        parameters = entry.get("parameters") or {}
        written = ", ".join(f"{name} = {value}" for name, value in parameters.items())
        parts = [
            str(entry.get("title") or entry.get("name") or ""),
            str(entry.get("formula") or ""),
            written or "default parameters",
            str(entry.get("citation") or ""),
        ]
        described.append((str(entry.get("label", "")), "; ".join(part for part in parts if part)))
    return Passage("Losses", "", tuple(described))


def _methods(study: StudyView) -> Passage:
    """Where the masks that were scored came from."""
    predictions = study.setting("predictions")
    given = predictions if isinstance(predictions, Mapping) else {}
    entries = [
        (name, f"masks of {given[name]['folder']}")
        for name in study.losses
        if isinstance(given.get(name), Mapping) and given[name].get("folder")
    ]
    text = "The masks came from elsewhere and were scored as they are; nothing was trained." if entries else ""
    return Passage("Methods compared", text, tuple(entries))


def _metrics(study: StudyView, analysis: Analysis) -> Passage:
    metrics = [METRICS[name] for name in judged_metrics(analysis.summary["metric"])]
    policies: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.empty_policy:
            policies.setdefault(metric.empty_policy, []).append(metric.title)
    words = [f"{enumeration(titles)} where {policy}." for policy, titles in policies.items()]
    definitions = []
    for metric in metrics:
        source = f" ({metric.source})" if metric.source else ""
        definitions.append((metric.title, f"{metric.definition.rstrip('.')}{source}.{_here(study, metric.name)}"))
    return Passage("Metrics, per image", "", (*definitions, *([("Empty masks", " ".join(words))] if words else [])))


def _here(study: StudyView, metric: str) -> str:
    """The tolerance that an evaluation was asked for."""
    tolerance = study.setting("config", "tolerance")
    if metric != "nsd" or not isinstance(tolerance, int | float):
        return ""
    return f" The tolerance here: {tolerance:g} {'px' if study.setting('data', 'spacing_known') is False else 'mm'}."
