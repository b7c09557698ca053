"""`data profile`: what a data set holds, as numbers, a page, and what follows for the losses."""

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unifocal import __version__
from unifocal.config.schema import DataConfig
from unifocal.config.verbs import ProfileConfig
from unifocal.data.check import CheckedData, check_data, sound
from unifocal.data.datasets import open_dataset
from unifocal.data.layouts.listing import printable
from unifocal.data.profile.case import FOREGROUND, BrainMask, Plan, Target, profile_case
from unifocal.data.profile.result import Advice, LossCall, Profile
from unifocal.data.profile.rows import case_rows
from unifocal.data.profile.summary import Collected, summarise
from unifocal.data.workers import Failed, map_isolated
from unifocal.experiments.advice import advise, losses_to_compare
from unifocal.experiments.folder import check_out
from unifocal.experiments.progress import Reporter
from unifocal.experiments.request import arguments_for, request_of
from unifocal.preprocessing.resampling import resize_labels
from unifocal.problems import Problem, bad_input, raise_if_any

MARKER = "profile.json"

_BASE_BYTES, _BYTES_PER_ELEMENT = 2 * 1024**3, 48
_BASE_SECONDS, _SECONDS_PER_ELEMENT = 120.0, 5e-6
_PRELOAD = ("unifocal.data.profile.case", "scipy.ndimage", "skimage.transform")


@dataclass(frozen=True)
class ProfileOutcome:
    """What was found and written.

    Attributes:
        profile: The data in numbers.
        advice: What follows.
        comparison: The command that compares what follows with the baselines; empty where nothing follows.
        cautions: What to know before relying on the numbers.
        folder: Where the files are: `profile.json`, `cases.csv`, `profile.html`.
        content: What `profile.json` holds.
    """

    profile: Profile
    advice: tuple[Advice, ...]
    comparison: str
    cautions: tuple[str, ...]
    folder: Path
    content: dict[str, Any]


def profile_data(settings: ProfileConfig, *, reporter: Reporter) -> ProfileOutcome:
    """Check a data set, describe every case, and write the profile.

    Args:
        settings: Where the data are, what to look at, where results go.
        reporter: Advanced by one per case.

    Raises:
        InputError: With every problem of the data; nothing is written then.
    """
    from unifocal.reporting.profile_page import ProfileView, write_profile

    name = _name_of(settings.data)
    check_out(settings.out, MARKER)
    checked = _checked(settings, reporter)
    plan = plan_for(checked, size=settings.size, brain=settings.brain)
    collected = collect(checked, plan, workers=settings.workers, reporter=reporter)
    profile = summarise(collected, name=name, dataset=checked.dataset, targets=plan.targets, training_size=plan.size)
    advice = advise(profile)
    losses = losses_to_compare(profile, advice) if advice else ()
    rows = case_rows(collected.cases)
    content = {
        **profile.as_data(),
        "unifocal": __version__,
        "content_hash": checked.content_hash,
        "warnings": [
            {"kind": each.kind, "where": printable(each.where), "what": printable(each.what), "remedy": each.remedy}
            for each in checked.warnings
        ],
        "advice": [{**asdict(each), "losses": [_loss_data(loss) for loss in each.losses]} for each in advice],
        "compare": [_loss_data(loss) for loss in losses],
        "case_rows": rows,
    }
    content = _plain(content)
    reporter.stage("Drawing", 1)
    command = ("unifocal", "compare", *arguments_for(settings.data))
    view = ProfileView(profile, collected, plan, advice, losses, command, cautions=_cautions(checked, collected))
    write_profile(settings.out, view, content)
    reporter.advance(1)
    return ProfileOutcome(profile, advice, view.comparison, view.cautions, settings.out, content)


def plan_for(checked: CheckedData, *, size: tuple[int, ...] | None, brain: bool) -> Plan:
    """How the cases of checked data are looked at.

    Raises:
        InputError: If no case has a mask, or the training size does not suit the images.
    """
    if not checked.labels:
        raise bad_input("the masks", "hold no label, so there is no imbalance to describe", "Give masks.")
    axes = len(checked.facts[0].size)
    if size is None and axes == 2:
        size = (128, 128)
    if size is not None and len(size) not in {2, axes}:
        what = f"has {len(size)} numbers, but the images have {axes} axes"
        raise bad_input("--size", what, f"Give one number, or {axes}.")
    declared = checked.dataset.declared
    if declared.regions:
        named = [(name, tuple(values)) for name, values in declared.regions.items()]
    else:
        named = [(declared.labels.get(label) or str(label), (label,)) for label in checked.labels]
    times = Counter([FOREGROUND, *(name for name, _ in named)])
    targets = tuple(
        Target(name if times[name] == 1 else f"{name} ({'+'.join(map(str, values))})", values) for name, values in named
    )
    return Plan(
        coding=checked.coding,
        targets=targets,
        grey=checked.channels == 1,
        size=size,
        resize=resize_labels if size is not None else None,
        brain=_brain_mask() if brain else None,
    )


def collect(checked: CheckedData, plan: Plan, *, workers: int, reporter: Reporter) -> Collected:
    """Describe every case, several at a time, each in a process that cannot harm this one.

    Raises:
        InputError: With every case that could not be described.
    """
    cases = checked.dataset.cases
    elements = {fact.name: math.prod(fact.size) for fact in checked.facts}
    collected, problems = Collected(), []
    reporter.stage("Profiling", len(cases))
    results = map_isolated(
        partial(profile_case, plan=plan),
        cases,
        workers=workers,
        timeout_s=lambda case: _BASE_SECONDS + _SECONDS_PER_ELEMENT * elements[case.name],
        memory_bytes=lambda case: _BASE_BYTES + _BYTES_PER_ELEMENT * elements[case.name],
        advance=partial(reporter.advance, 1),
        preload=_PRELOAD,
    )
    for case, result in zip(cases, results, strict=True):
        if isinstance(result, Failed):
            what = f"could not be described ({result.reason}: {result.detail})"
            problems.append(
                Problem(str(case.image), what, "Check the file, or free memory.", f"profile-{result.reason}")
            )
        else:
            collected.add(result)
    raise_if_any(problems)
    return collected


def _cautions(checked: CheckedData, collected: Collected) -> tuple[str, ...]:
    kinds = Counter(problem.kind for problem in checked.warnings)
    named = ", ".join(f"{kind} ({number})" for kind, number in kinds.most_common())
    lost = sum(case.brain == 0 for case in collected.cases)
    told = (
        (f"The check of the data gave warnings: {named}. `unifocal data check` lists them.", kinds),
        (f"No brain was found in {lost} of {len(collected.cases)} cases; they have no ratio.", lost),
    )
    return tuple(words for words, applies in told if applies)


def _brain_mask() -> BrainMask:
    from unifocal.preprocessing import brain_mask

    return partial(brain_mask, method="improved", margin=0.0)  # the brain itself, not what is kept to be safe


def _checked(settings: ProfileConfig, reporter: Reporter) -> CheckedData:
    data = settings.data
    if data.is_phantom:
        raise bad_input("DATA", "is missing", "Name a data set's folder; `unifocal data phantom` writes the phantom.")
    reading = open_dataset(request_of(data))
    reporter.stage("Checking", len(reading.dataset.cases))
    advance = partial(reporter.advance, 1)
    return sound(check_data(reading, threshold=data.mask_threshold, workers=settings.workers, advance=advance))


def _name_of(data: DataConfig) -> str:
    place = data.folder or data.images
    return place.resolve().name if place is not None else "phantom"


def _loss_data(loss: LossCall) -> dict[str, Any]:
    return {"name": loss.name, "parameters": dict(loss.parameters), "text": str(loss)}


def _plain(content: Any) -> dict[str, Any]:
    """As it will read back from JSON: keys are texts, tuples are lists, no NaN."""
    plain: dict[str, Any] = json.loads(json.dumps(_no_nan(content), allow_nan=False))
    return plain


def _no_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _no_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(each) for each in value]
    return value
