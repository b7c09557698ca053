"""Numbers as a reader expects them in print."""

import math

ABSENT = "–"
MINUS = "−"


def digits_for(unit: str, smallest: float) -> int:
    """How many decimals a metric's values need.

    Args:
        unit: The metric's unit; empty for a ratio.
        smallest: The smallest value shown beside each other; ratios that all lie next to 1 get one
            decimal more, or they would all read alike.
    """
    if unit:
        return 2
    return 4 if smallest >= 0.99 else 3


def number(value: float, digits: int) -> str:
    """A value with a fixed number of decimals and a true minus sign, no negative zero; a dash when it is not finite."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """A difference with its sign, also where it is positive."""
    text = number(value, digits)
    return f"+{text}" if math.isfinite(value) and value > 0 and text.strip("0.") else text


def interval(lower: float, upper: float, digits: int) -> str:
    """An interval in brackets; empty when it could not be computed."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return ""
    return f"[{number(lower, digits)}, {number(upper, digits)}]"


def p_value(value: float) -> str:
    """A p value: three decimals, and `<0.001` below that."""
    if not math.isfinite(value):
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """A time as one would say it: `40 s`, `12 min`, `3.4 h`; nothing when it is not finite."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def count(number_of: int, singular: str, plural: str = "") -> str:
    """`1 case`, `2 cases`, `1,941,105 parameters`."""
    noun = singular if number_of == 1 else (plural or f"{singular}s")
    return f"{number_of:,} {noun}"


def in_print(unit: str) -> str:
    """A unit with its exponent raised: `mm²`."""
    return unit.replace("mm2", "mm²").replace("mm3", "mm³")


def plural(noun: str) -> str:
    """`losses` of `loss`, `methods` of `method`."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def capital(words: str) -> str:
    """The words with a capital first letter, the rest as it is."""
    return f"{words[:1].upper()}{words[1:]}"


def shortened(name: str, longest: int) -> str:
    """A name of at most `longest` characters; what is left out in its middle shows as an ellipsis."""
    if len(name) <= longest:
        return name
    head = (longest - 1) // 2
    return f"{name[:head]}…{name[len(name) - (longest - 1 - head) :]}"


def share(part: float) -> str:
    """A share in percent, with a mark where rounding would make it none or all; a dash when it is not finite."""
    if not math.isfinite(part):
        return ABSENT
    if 0 < part < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= part < 1 else f"{100 * part:.0f} %"


def enumeration(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
