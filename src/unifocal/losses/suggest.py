"""Names near a misspelt one, for errors that teach."""

from collections.abc import Collection
from difflib import get_close_matches


def suggestion(name: str, valid: Collection[str]) -> str:
    """A sentence with the names near `name`, and all that are valid.

    Args:
        name: What was asked for.
        valid: What could have been asked for.

    Returns:
        For instance `Did you mean 'gamma'? Valid: alpha, gamma.`
    """
    by_folded = {candidate.casefold(): candidate for candidate in valid}
    near = [by_folded[key] for key in get_close_matches(name.casefold(), by_folded, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}Valid: {', '.join(sorted(valid))}."
