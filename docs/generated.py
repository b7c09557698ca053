"""Pages of which parts are written by the code, between `generated` comments; the prose around them is by hand."""

import re
from collections.abc import Callable, Mapping


def filled(page: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The page with its generated parts as they should be.

    Raises:
        KeyError: If the page asks for a part that there is not.
    """

    def renewed(found: re.Match[str]) -> str:
        return f"{found[1]}\n\n{parts[found[2]]()}\n\n<!-- end -->"

    return re.sub(r"(<!-- generated: (\w+) -->).*?<!-- end -->", renewed, page, flags=re.DOTALL)
