"""What the catalogue claims, held against the losses themselves."""

import random
import re
from collections.abc import Mapping
from graphlib import TopologicalSorter

import pytest
import torch
from losses_cases import example

import unifocal.losses
from unifocal.losses import SHARED_PARAMETERS, Member, Parameter, create, describe, names
from unifocal.losses.catalogue import MEMBERS, SYMBOLS, Reduction

REDUCTIONS = [pytest.param(m, r, id=f"{m.name}-is-{r}") for m in MEMBERS for r in m.reduces_to]
PARAMETERS = [
    pytest.param(member.name, parameter, id=f"{member.name}-{parameter.name}")
    for member in MEMBERS
    for parameter in member.parameters
] + [pytest.param("unified_focal", parameter, id=f"shared-{parameter.name}") for parameter in SHARED_PARAMETERS]
SHARED: list[dict[str, object]] = [
    {},
    {"include_background": False, "batch": True},
    {"class_weights": [1.0, 3.0, 0.5], "reduction": "none"},
    {"activation": "sigmoid", "smooth": 0.5},
]


def drawn(parameter: Parameter, chance: random.Random, shared: Mapping[str, object]) -> object:
    """Some value of a parameter, often its default if that is None."""
    if parameter.name == "rare_classes":
        return None if "activation" in shared else chance.choice([None, [2], [0, 1]])
    if parameter.default is None and chance.random() < 0.3:
        return None
    return chance.uniform(*parameter.sensible) if parameter.sensible else chance.choice(parameter.choices)


def both_sides(
    member: Member, reduction: Reduction, seed: int, shared: Mapping[str, object], changed: Mapping[str, object]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, with `changed` in place of what the reduction asks for, and what it is said to be."""
    chance = random.Random(seed)
    own = {p.name: drawn(p, chance, shared) for p in member.parameters}
    other, offset = reduction.other_side(own)
    case = example(3, (5, 4), seed=seed)
    target = torch.nn.functional.one_hot(case.target, 3).movedim(-1, 1) if "activation" in shared else case.target
    ours = create(member.name, **(own | dict(reduction.when) | changed), **shared)(case.logits, target)
    theirs = create(reduction.to, **other, **shared)(case.logits, target)
    return ours, reduction.scale * theirs + offset


@pytest.mark.parametrize(("member", "reduction"), REDUCTIONS)
@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("seed", range(3))
def test_a_reduction_is_exact(member: Member, reduction: Reduction, seed: int, shared: Mapping[str, object]) -> None:
    torch.testing.assert_close(*both_sides(member, reduction, seed, shared, {}))


@pytest.mark.parametrize(("member", "reduction"), REDUCTIONS)
def test_a_reduction_asks_for_nothing_that_it_does_not_need(member: Member, reduction: Reduction) -> None:
    for name, value in reduction.when.items():
        other = (not value) if isinstance(value, bool) else 0.3
        pairs = [both_sides(member, reduction, seed, {}, {name: other}) for seed in range(5)]
        assert any(not torch.allclose(ours, theirs) for ours, theirs in pairs), name


@pytest.mark.parametrize(("member", "reduction"), REDUCTIONS)
def test_a_reduction_leaves_no_parameter_open(member: Member, reduction: Reduction) -> None:
    own = {p.name: p.default for p in member.parameters}
    assert set(reduction.when) <= set(own)
    other, _ = reduction.other_side(own)
    assert set(other) == {p.name for p in describe(reduction.to).parameters}


def test_reductions_lead_to_simpler_losses() -> None:
    order = tuple(TopologicalSorter({m.name: {r.to for r in m.reduces_to} for m in MEMBERS}).static_order())
    assert order[-1] == "unified_focal"
    assert set(order) == set(names())


def test_a_reduction_reads_as_a_sentence() -> None:
    assert [str(each) for each in describe("combo").reduces_to] == [
        "cross_entropy when alpha=1, beta=None",
        "dice - 1 when alpha=0",
        "1/2·dice_cross_entropy - 1/2 when alpha=0.5, beta=None",
    ]
    hybrid, *_ = describe("unified_focal_symmetric").reduces_to
    assert str(hybrid) == "hybrid_focal(tversky_gamma=1-gamma, focal_gamma=gamma, alpha=delta)"
    assert str(describe("unified_focal").reduces_to[-1]) == (
        "combo(alpha=1-region_weight, beta=delta) + region_weight when gamma=0, delta=0.5"
    )


@pytest.mark.parametrize("name", names())
def test_the_kind_is_what_the_loss_does(name: str) -> None:
    """Sums over voxels are means of the halves' means; comparisons of regions never exceed 1."""
    case = example(3, (6, 4), samples=1)
    loss = create(name)
    whole, *halves = (
        loss(case.logits[..., rows, :], case.target[:, rows]) for rows in (slice(6), slice(3), slice(3, 6))
    )
    sums_up = torch.isclose(whole, torch.stack(halves).mean())
    wrong = loss(-1e4 * torch.nn.functional.one_hot(case.target, 3).movedim(-1, 1), case.target)
    expected = "distribution-based" if sums_up else "region-based" if wrong <= 1 else "compound"
    assert describe(name).kind == expected


@pytest.mark.parametrize("name", names())
def test_the_example_makes_the_loss(name: str) -> None:
    assert repr(eval(describe(name).example, vars(unifocal.losses))) == repr(create(name))


@pytest.mark.parametrize("name", names())
def test_letters_in_the_formula_are_explained(name: str) -> None:
    member = describe(name)
    for parameter in member.parameters:
        assert parameter.symbol in member.formula + "".join(SYMBOLS)
        if parameter.sensible:
            assert parameter.symbol
    letters = {parameter.symbol for parameter in (*member.parameters, *SHARED_PARAMETERS)}
    for greek in re.findall(r"[α-ω](?:_[a-z])?", member.formula):
        assert greek in letters or f"{greek} = " in member.formula, greek


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_values_worth_trying_are_taken(name: str, parameter: Parameter) -> None:
    tried = [*parameter.choices, *(parameter.sensible or ())]
    for value in tried:
        create(name, **{parameter.name: value})
    if parameter.choices:
        assert parameter.default in parameter.choices
        assert parameter.sensible is None
    if parameter.sensible:
        low, high = parameter.sensible
        assert low < high
        assert parameter.default is None or low <= parameter.default <= high  # type: ignore[operator]
        assert low > 0 or not parameter.logarithmic


@pytest.mark.parametrize(("name", "parameter"), [p for p in PARAMETERS if p.values[1].sensible])
def test_one_value_per_class_is_taken_where_it_says_so(name: str, parameter: Parameter) -> None:
    value = sum(parameter.sensible or ()) / 2
    case = example(3)
    if not parameter.per_class:
        with pytest.raises(TypeError, match=parameter.name):
            create(name, **{parameter.name: [value] * 3})
        return
    low, high = parameter.sensible or (0, 0)
    one, several = (
        create(name, **{parameter.name: [low, value, last]})(case.logits, case.target) for last in (value, high)
    )
    assert not torch.isclose(one, several)


@pytest.mark.parametrize("name", names())
def test_papers_can_be_found(name: str) -> None:
    paper = describe(name).paper
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper.doi)
    assert paper.links[0] == f"https://doi.org/{paper.doi}"
    assert paper.arxiv is None or re.fullmatch(r"\d{4}\.\d{5}", paper.arxiv)
    assert len(paper.links) == 1 + (paper.arxiv is not None)
