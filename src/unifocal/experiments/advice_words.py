"""Words and numbers that the advice is written in."""

from collections.abc import Sequence

from unifocal.data.profile.result import Profile


def shared(profile: Profile) -> dict[str, object]:
    """The keywords that every loss needs on such data: regions that overlap take a sigmoid."""
    return {"activation": "sigmoid"} if profile.overlapping else {}


def percent(share: float) -> str:
    """`9.3 %`, `0.21 %`, `<0.0001 %`."""
    value = 100 * share
    if 0 < value < 0.0001:
        return "<0.0001 %"
    return f"{value:.3g} %" if value < 10 else f"{value:.1f} %"


def ratio(value: float) -> str:
    """`19 : 1`, `1 : 2.5`."""
    left, right = (value, 1.0) if value >= 1 else (1.0, 1 / value)
    return f"{_side(left)} : {_side(right)}"


def _side(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def digits(value: float) -> str:
    """Three significant digits and a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
