"""The pages' templates."""

from functools import cache

import jinja2
from markupsafe import Markup

from unifocal.reporting.drawings import data_uri


@cache
def template(name: str) -> jinja2.Template:
    """A template of the folder `templates`: everything is escaped, and nothing undefined passes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("unifocal.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _breakable(name: str) -> Markup:
    """A name that may be broken after an underscore and before a bracket."""
    pieces = (Markup("_<wbr>").join(piece.split("_")) for piece in name.split("("))
    return Markup("<wbr>(").join(pieces)
