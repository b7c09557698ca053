"""Fills docs/losses.md with what the catalogue knows, and draws its figures.

`python docs/make_losses.py` rewrites the parts of the page between its `generated` comments; the prose around them
is written by hand.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from generated import filled
from losses_figures import GAMMAS, IMAGES, figures

from unifocal.losses import SHARED_PARAMETERS, Member, Parameter, describe
from unifocal.losses.catalogue import MEMBERS, Reduction

PAGE = Path(__file__).parent / "losses.md"

GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ρ": "rho", "φ": "varphi"}
ATOM = r"(?:\([^()]*\)|[α-ωa-z](?:_[a-z])?)"


def math(formula: str) -> str:
    """A formula of the catalogue in the mathematics that GitHub renders, one line per part."""
    lines = [_line(part) for part in formula.split(";  ")]
    if len(lines) == 1:
        return lines[0]
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(f"& {line}" for line in lines), r"\end{aligned}"])


def _line(text: str) -> str:
    label, _, rest = text.rpartition(": ")
    rest = re.sub(r"\(([^()]*)\) / \(([^()]*)\)", r"\\frac{\1}{\2}", rest)
    rest = re.sub(rf"\^({ATOM})", lambda power: f"^{{{power[1].strip('()')}}}", rest)
    rest = re.sub(r"\b(?:mean|TI|FN|FP|DSC)\b", lambda word: rf"\mathrm{{{word[0]}}}", rest)
    rest = rest.replace(r"\mathrm{mean} ", r"\mathrm{mean}\,").replace("·", r"\,").replace("log p", r"\log p")
    rest = rest.replace("Σ_c ", r"\sum_c ").replace(", ", r",\quad ")
    rest = re.sub(r"([α-ω])(\w?)", lambda found: f"\\{GREEK[found[1]]}{' ' * found[2].isalnum()}{found[2]}", rest)
    return rf"\text{{{label}: }}{rest}" if label else rest


def members() -> str:
    """Every loss: formula, parameters, special cases, paper."""
    return "\n\n".join(_member(member) for member in MEMBERS)


def _member(member: Member) -> str:
    aliases = "".join(f", `{alias}`" for alias in member.aliases)
    parts = [
        f"### {member.title}",
        f"`{member.name}`{aliases}; in Python `{member.example}`. A {member.kind} loss.",
        f"```math\n{math(member.formula)}\n```",
    ]
    if member.parameters:
        parts.append(parameters(member.parameters))
    if member.reduces_to:
        parts.append("\n".join(["Special cases:", "", *(f"- {_sentence(each)}" for each in member.reduces_to)]))
    links = ", ".join(f"[{link.removeprefix('https://')}]({link})" for link in member.paper.links)
    return "\n\n".join([*parts, f"Paper: {member.paper.citation}. {links}"])


def _sentence(reduction: Reduction) -> str:
    what, _, when = str(reduction).partition(" when ")
    name = reduction.to
    linked = what.replace(name, f"[`{name}`](#{_anchor(describe(name).title)})", 1)
    taken = ", ".join(f"{key}={value}" for key, value in reduction.takes.items())
    linked = linked.replace(f"({taken})", f" with `{taken}`") if taken else linked
    return f"{linked} when `{when}`" if when else linked


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def parameters(known: Sequence[Parameter]) -> str:
    """A table of parameters."""
    rows = ["| parameter | default | sensible | per class | meaning |", "|---|---|---|---|---|"]
    for parameter in known:
        symbol = f" ({parameter.symbol})" if parameter.symbol else ""
        per_class = "yes" if parameter.per_class else ""
        rows.append(
            f"| `{parameter.name}`{symbol} | {parameter.default} | {_sensible(parameter)} | {per_class} "
            f"| {parameter.meaning} |"
        )
    return "\n".join(rows)


def _sensible(parameter: Parameter) -> str:
    if parameter.sensible:
        return "{:g} to {:g}".format(*parameter.sensible)
    return ", ".join(map(str, parameter.choices))


def pull() -> str:
    """How strongly the region term pulls at a class, for several gamma."""
    rows = ["| gamma | at TI = 0 | equal to 1 at | at TI = 0.95 |", "|---|---|---|---|"]
    for gamma in GAMMAS[1:]:
        crossing = 1 - (1 - gamma) ** (1 / gamma)
        rows.append(f"| {gamma:g} | {pull_at(gamma, 0):.1f} | TI = {crossing:.2f} | {pull_at(gamma, 0.95):.2f} |")
    return "\n".join(rows)


def pull_at(gamma: float, index: float) -> float:
    """The slope of (1-TI)**(1-gamma) at a Tversky index, in multiples of the slope of 1-TI."""
    return (1 - gamma) * (1 - index) ** -gamma


PARTS = {
    "members": members,
    "shared": lambda: parameters(SHARED_PARAMETERS),
    "pull": pull,
}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PARTS), encoding="utf-8")
    for name, svg in figures().items():
        (IMAGES / name).write_text(svg, encoding="utf-8")
