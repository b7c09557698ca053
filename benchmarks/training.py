"""One step of training, one epoch with loading and augmentation, and prediction, beside Keras and MONAI.

python benchmarks/training.py --write docs/results/training_speed.md
python benchmarks/training.py --only step --shapes 128x128:20:200 --contenders unifocal keras
python benchmarks/training.py --quick

Every contender has a process of its own, and they take turns (A B C A B C ...): so what one asks of its process, its
memory for instance, does not change another. Keras runs in an environment that is set up in `benchmarks/.peers/keras`
at first. Run it on a machine that does nothing else.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from keras_environment import TENSORFLOW, keras_python
from report import circumstances
from training_data import Shape, write_arrays
from training_tables import OURS, PROGRAMS, Comparison, Found, Who, bare_of, ratios_table, share_table, times_table
from training_wire import Contender

HERE = Path(__file__).parent
SCRIPTS = {
    "unifocal": "training_ours.py",
    "device": "training_ours.py",
    "monai": "training_monai.py",
    "keras": "keras_server.py",
}
WORKS = ("step", "epoch", "predict")
PRECISIONS = ("float32", "bfloat16")
SHAPES = ("128x128:20:200", "512x800:2:24", "96x96x96:2:8")
QUICK = ("32x32:2:4", "32x32x32:1:2")
WARM_STEPS = 2

_TOLD = {
    "step": (
        "Milliseconds from a batch being there to the weights' change: forward pass, loss, backward pass, Adam. Ours "
        "is timed inside `fit`, Keras' is `train_on_batch` on tensors, MONAI's a plain loop."
    ),
    "epoch": (
        "Seconds from the start of an epoch to the end of its last training step, without validation. Ours is `fit` "
        "with the standard augmentation, which reads each case from the cache on disk; with `training.on_device`, from "
        "memory, augmented a batch at a time. MONAI's is a loop over a "
        "`DataLoader` of a `CacheDataset` in memory with its own transforms of the same kinds, each with probability "
        "0.15. Keras' is `fit` on arrays in memory, with cross entropy and without augmentation, as source A has it: "
        "it is there for orientation."
    ),
    "predict": (
        "Milliseconds per image, from prepared arrays in memory to probabilities in memory. Ours is "
        "`predict_probabilities` (2D) and `predict_volume` with one window per volume (3D), Keras' is `predict`, "
        "MONAI's the network in `inference_mode` (2D) and `sliding_window_inference` (3D)."
    ),
}
_SHARE = (
    "Our training part beside as many bare steps (batches there, without augmentation), timed in the same rounds; and "
    "what follows the last step: validation on a fifth as many cases, and the state file.\n"
)


def contenders(work: str, shape: Shape, given: argparse.Namespace) -> list[Who]:
    """Who takes part, in the order of turns."""
    programs = [
        ("unifocal", "bce", work == "step" and shape.dimensions == 2),
        ("unifocal", "dice_cross_entropy", True),
        ("device", "dice_cross_entropy", work == "epoch"),
        ("keras", "binary_crossentropy", shape.dimensions == 2),
        ("monai", "DiceCELoss", True),
    ]
    everyone = [
        Who(program, loss, precision, work)
        for program, loss, takes_part in programs
        for precision in given.precisions
        if takes_part and program in given.contenders
    ]
    bare = [bare_of(who) for who in everyone if work == "epoch" and who.program in OURS]
    return list(dict.fromkeys([*everyone, *bare]))


def comparisons(work: str) -> list[Comparison]:
    """Who stands against whom, and what is aimed at."""
    ours, dice = ("bce" if work == "step" else "dice_cross_entropy"), "dice_cross_entropy"
    keras = {precision: Who("keras", "binary_crossentropy", precision, work) for precision in PRECISIONS}
    aims = {"step": (2.0, 1.15), "epoch": (None, None), "predict": (2.0, 2.0)}[work]
    beside_keras = [
        Comparison(Who("unifocal", ours, "bfloat16", work), keras["float32"], aims[0]),
        Comparison(Who("unifocal", ours, "float32", work), keras["float32"], aims[1]),
        Comparison(Who("unifocal", ours, "bfloat16", work), keras["bfloat16"]),
    ]
    beside_monai = [
        Comparison(
            Who("unifocal", dice, precision, work),
            Who("monai", "DiceCELoss", precision, work),
            1.5 if work == "epoch" else None,
        )
        for precision in PRECISIONS
    ]
    return beside_keras + beside_monai


def counts(who: Who, section: str, shape: Shape, steps: int) -> tuple[int, int]:
    """Pieces of work in the unmeasured first turn, and in all others."""
    if who.work != "step":
        return 1, 1
    return WARM_STEPS, shape.steps if section == "epoch" else steps


def measure(section: str, shape: Shape, given: argparse.Namespace) -> Found:
    """All contenders of one shape in turns."""
    found = Found(shape)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_arrays(Path(folder), shape)
        running = {}
        for who in contenders(section, shape, given):
            first, others = counts(who, section, shape, given.steps)
            command = _command(who, shape, Path(folder), first + given.rounds * others, given)
            running[who] = Contender(str(who), command, given.threads)
            stack.callback(running[who].close)
        for who, contender in running.items():
            found.parameters[who] = int(str(contender.receive()["parameters"]))
        for turn in range(-1, given.rounds):
            for who, contender in running.items():
                first, others = counts(who, section, shape, given.steps)
                taken = contender.turn(first if turn < 0 else others)
                if turn >= 0:
                    found.turns.setdefault(who, []).append(taken)
            print(f"{section} {shape}: round {turn + 1} of {given.rounds}", file=sys.stderr, flush=True)
    return found


def _command(who: Who, shape: Shape, folder: Path, most: int, given: argparse.Namespace) -> list[str]:
    python = str(given.keras_python) if who.program == "keras" else sys.executable
    told = {"work": who.work, "shape": shape, "data": folder, "loss": who.loss, "precision": who.precision,
            "threads": given.threads, "most": most}  # fmt: skip
    options = [part for name, value in told.items() for part in (f"--{name}", str(value))]
    options += ["--on-device"] if who.program == "device" else []
    layout = ["--channels-last"] if who.program == "monai" and given.monai_channels_last else []
    return [python, str(HERE / SCRIPTS[who.program]), *options, *layout]


def section(work: str, found: Sequence[Found]) -> str:
    """One part of the page."""
    titles = {"step": "One step", "epoch": "One epoch", "predict": "Prediction"}
    unit = "s" if work == "epoch" else "ms"
    per = {each.shape: each.shape.cases for each in found} if work == "predict" else None
    parts = [f"## {titles[work]}\n", f"{_TOLD[work]}\n", times_table(found, unit, per)]
    parts.append(ratios_table(found, comparisons(work)))
    if work == "epoch" and (share := share_table(found)):
        parts += [_SHARE, share]
    return "\n".join(part for part in parts if part)


def method(given: argparse.Namespace, found: Sequence[Found]) -> str:
    """What is the same for all sections."""
    sizes = {(who.program, each.shape.dimensions): count for each in found for who, count in each.parameters.items()}
    networks = ", ".join(f"{PROGRAMS[name]} {axes}D {count:,}" for (name, axes), count in sorted(sizes.items()))
    keras = f" Keras is that of {TENSORFLOW}, in an environment of its own." if "keras" in given.contenders else ""
    layout = "channels last" if given.monai_channels_last else "as torch makes them (its own loops do so)"
    return (
        f"Medians, with quartiles in brackets, of {given.rounds} rounds in which all contenders take turns, each in a "
        f"process of its own with {given.threads} threads, after an unmeasured turn each. A turn has {given.steps} "
        "steps, one epoch, or one pass over all cases. Ratios are those of the medians; in brackets the quartiles of "
        "the rounds' own ratios. The images are noise with one bright ellipsoid each, the same for all.\n\n"
        "2D: source A's U-Net with 3 channels, layer by layer in Keras and ours; MONAI's `BasicUNet` of the same "
        "widths with ReLU, without normalisation and dropout. 3D: our default network for volumes with 1 channel "
        "(widths 16 to 256, instance normalisation); MONAI's `BasicUNet` of the same widths with ReLU and instance "
        f"normalisation. Parameters: {networks}. bfloat16 is autocast, in Keras `mixed_bfloat16`. Keras, and ours "
        "beside it in steps, train with cross entropy, all others with Dice + cross entropy. Our tensors are channels "
        f"last, MONAI's {layout}.{keras}\n"
    )


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with what `--quick` means and without contenders that cannot run here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--shapes", nargs="+", type=Shape.parse, help="size:batch:cases, for instance 128x128:20:200")
    parser.add_argument("--contenders", nargs="+", choices=tuple(SCRIPTS), default=tuple(SCRIPTS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="of one turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="tiny shapes and one round: whether it runs")
    parser.add_argument("--keras-python", type=Path, help="an interpreter that has TensorFlow")
    parser.add_argument("--monai-channels-last", action="store_true", help="MONAI's tensors too, as ours always are")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args(arguments)
    if min(given.rounds, given.steps, given.threads) < 1:
        parser.error("rounds, steps and threads must be at least 1")
    given.shapes = given.shapes or [Shape.parse(text) for text in (QUICK if given.quick else SHAPES)]
    if given.quick:
        given.rounds = given.steps = 1
    if "keras" in given.contenders and any(shape.dimensions == 2 for shape in given.shapes):
        given.keras_python = keras_python(given.keras_python)
        if given.keras_python is None:
            given.contenders = [name for name in given.contenders if name != "keras"]
    return given


def recorded(arguments: Sequence[str]) -> str:
    """The command as it can be given on any machine."""
    kept = list(arguments)
    if "--keras-python" in kept:
        place = kept.index("--keras-python")
        del kept[place : place + 2]
    return shlex.join(["python", "benchmarks/training.py", *kept])


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    given = parsed(arguments)
    torch.set_num_threads(given.threads)
    everything: list[Found] = []
    parts: list[str] = []
    for work in given.only:
        found = [measure(work, shape, given) for shape in given.shapes]
        everything += found
        parts.append(section(work, found))
        print(parts[-1], flush=True)
        head = ["# Speed of training\n", circumstances(recorded(arguments), packages=PACKAGES)]
        if given.write:
            given.write.write_text("\n".join([*head, method(given, everything), *parts]), encoding="utf-8")


PACKAGES = ("unifocal", "torch", "lightning", "monai")

if __name__ == "__main__":
    main(sys.argv[1:])
