"""The pages' templates."""

import re
from functools import cache

import jinja2
from markupsafe import Markup
from PIL import Image

from unifocal.reporting.drawings import data_uri
from unifocal.reporting.overlay import Pixels
from unifocal.reporting.viewer_pictures import encode_picture

PHOTO_QUALITY = 88
PIXELS_PER_POINT = 1.4


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
    environment.filters["photo"] = _photo
    environment.filters["svg_width"] = _svg_width
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _photo(pixels: Pixels) -> str:
    """A picture inside a link, compressed with loss: a tenth of the size."""
    return encode_picture(Image.fromarray(pixels), PHOTO_QUALITY)


def _svg_width(svg: str) -> int:
    """How many pixels wide a figure is at the size of text for which it was drawn."""
    box = re.search(r'viewBox="\S+ \S+ (\S+)', svg)
    return round(float(box.group(1)) * PIXELS_PER_POINT) if box else 600


def _breakable(name: str) -> Markup:
    """A name that may be broken after an underscore and before a bracket."""
    pieces = (Markup("_<wbr>").join(piece.split("_")) for piece in name.split("("))
    return Markup("<wbr>(").join(pieces)
