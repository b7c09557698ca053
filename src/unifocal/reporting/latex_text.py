"""Any text for LaTeX: nothing in it acts, everything in it compiles, long names may be broken."""

import re
import unicodedata

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"{\ttfamily\char34}",
    "`": r"\`{}",
    "-": "{-}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "§": r"\S{}",
}
_IN_MATHS = {
    "−": "-", "±": r"\pm", "×": r"\times", "·": r"\cdot", "°": r"^\circ", "²": "^2", "³": "^3", "≤": r"\le",
    "≥": r"\ge", "≈": r"\approx", "≠": r"\ne", "∞": r"\infty", "↑": r"\uparrow", "↓": r"\downarrow", "→": r"\to",
    "†": r"^\dagger", "‡": r"^\ddagger", "µ": r"\mu", "Σ": r"\Sigma", "Δ": r"\Delta", "Γ": r"\Gamma", "Ω": r"\Omega",
    "∈": r"\in", "√": r"\surd", "∑": r"\sum",
    **{
        unicodedata.lookup(f"GREEK SMALL LETTER {'LAMDA' if name == 'lambda' else name.upper()}"): rf"\{name}"
        for name in (
            *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"),
            *("nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
        )
    },
}  # fmt: skip
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": r"\`",
    "\N{COMBINING ACUTE ACCENT}": r"\'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": r"\^",
    "\N{COMBINING TILDE}": r"\~",
    "\N{COMBINING DIAERESIS}": r"\"",
    "\N{COMBINING RING ABOVE}": r"\r",
    "\N{COMBINING CARON}": r"\v",
    "\N{COMBINING CEDILLA}": r"\c",
    "\N{COMBINING MACRON}": r"\=",
    "\N{COMBINING BREVE}": r"\u",
    "\N{COMBINING DOT ABOVE}": r"\.",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": r"\H",
}
_BREAK, _LAST_RESORT = r"\allowbreak{}", r"\penalty5000{}"
_BREAK_AFTER = frozenset("_=,/:;|-.")
_BREAK_BEFORE = frozenset("([<{\\")


def escape_latex(text: str, longest: int = 24) -> str:
    """Text with everything that LaTeX would act on, or could not set, written out.

    A character that no font of plain pdflatex holds becomes its code point in brackets, for instance `[U+4E2D]`.

    Args:
        text: Any text; line breaks become spaces.
        longest: After how many characters of one word a line may break inside it.
    """
    return " ".join(_word(word, longest) for word in re.split(r"[ \t\r\n\f\v]+", text.strip(" \t\r\n\f\v")))


def _word(word: str, longest: int) -> str:
    parts: list[str] = []
    since = 0
    for place, character in enumerate(word):
        if since and (since >= longest or character in _BREAK_BEFORE):
            parts.append(_BREAK if character in _BREAK_BEFORE else _LAST_RESORT)
            since = 0
        written = _character(character)
        parts.append(written)
        since += longest if written.startswith("{[}U+") else 1
        if character in _BREAK_AFTER and place + 1 < len(word) and not _within_a_number(word, place):
            parts.append(_BREAK)
            since = 0
    return "".join(parts)


def _within_a_number(word: str, place: int) -> bool:
    return word[place] in ".,-" and word[place + 1].isdigit()


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in _IN_MATHS:
        return f"${_IN_MATHS[character]}$"
    if " " <= character <= "~":
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, mark = decomposed[0], decomposed[1:]
    if base.isascii() and base.isalpha() and mark in _ACCENTS:
        return f"{_ACCENTS[mark]}{{{base}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"
