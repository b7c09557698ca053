"""What the metrics should be, in plain Python over sets of elements; and masks to try them on."""

import math
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from unifocal.metrics import Score

Element = tuple[int, ...]
Case = tuple[NDArray[Any], NDArray[Any], tuple[float, ...]]

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
)


@st.composite
def drawn_cases(draw: st.DrawFn, largest_label: int = 2) -> Case:
    """Truth, prediction and an anisotropic spacing."""
    shape = draw(SHAPES)
    masks = hnp.arrays(np.uint8, shape, elements=st.integers(0, largest_label))
    spacing = tuple(draw(st.floats(0.1, 5)) for _ in shape)
    return draw(masks), draw(masks), spacing


@st.composite
def drawn_pairs(draw: st.DrawFn) -> Case:
    """Two masks that are not empty."""
    truth, prediction, spacing = draw(drawn_cases(largest_label=1))
    for mask in (truth, prediction):
        mask[tuple(draw(st.integers(0, n - 1)) for n in mask.shape)] = 1
    return truth > 0, prediction > 0, spacing


def by_metric(scores: list[Score], label: int) -> dict[str, Score]:
    return {score.metric: score for score in scores if score.label == label}


def elements(mask: NDArray[Any]) -> set[Element]:
    return {index for index in np.ndindex(mask.shape) if mask[index]}


def neighbours(element: Element, shared: int) -> list[Element]:
    """All that differ from the element in at most `shared` coordinates, each by one."""
    steps = [step for step in product((-1, 0, 1), repeat=len(element)) if 0 < sum(map(abs, step)) <= shared]
    return [tuple(a + b for a, b in zip(element, step, strict=True)) for step in steps]


def boundary_of(mask: NDArray[Any]) -> list[Element]:
    inside = elements(mask)
    return [element for element in sorted(inside) if not inside.issuperset(neighbours(element, 1))]


def percentile_95(values: list[float]) -> float:
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def surface_by_brute_force(
    truth: NDArray[Any], prediction: NDArray[Any], spacing: tuple[float, ...], tolerance: float
) -> dict[str, float]:
    """From all pairs of boundary elements."""
    points = [
        [tuple(i * s for i, s in zip(index, spacing, strict=True)) for index in boundary_of(mask)]
        for mask in (truth, prediction)
    ]
    forward = [min(math.dist(a, b) for b in points[1]) for a in points[0]]
    back = [min(math.dist(a, b) for a in points[0]) for b in points[1]]
    both = forward + back
    return {
        "hausdorff": max(both),
        "hd95": max(percentile_95(forward), percentile_95(back)),
        "hd95_pooled": percentile_95(both),
        "assd": sum(both) / len(both),
        "nsd": sum(d <= tolerance + 1e-9 for d in both) / len(both),
    }


def flooded(mask: NDArray[Any], *, corners: bool = True) -> list[set[Element]]:
    """The connected components, by flood fill."""
    unseen = elements(mask)
    components = []
    while unseen:
        component, edge = set(), {min(unseen)}
        while edge:
            component |= edge
            reached = {other for one in edge for other in neighbours(one, mask.ndim if corners else 1)}
            edge = (reached & unseen) - component
        unseen -= component
        components.append(component)
    return components
