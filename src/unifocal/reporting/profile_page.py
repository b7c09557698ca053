"""The profile as files: `profile.json`, `cases.csv`, and one HTML page that loads nothing."""

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from unifocal.data.profile.case import Plan
from unifocal.data.profile.result import Advice, LossCall, Profile
from unifocal.data.profile.summary import Collected
from unifocal.reporting.figure import house_style
from unifocal.reporting.files import write_whole
from unifocal.reporting.profile_examples import colours_of, examples
from unifocal.reporting.profile_figures import draw_profile
from unifocal.reporting.profile_tables import facts, headline, tables
from unifocal.reporting.templating import template

_TOPICS = ("imbalance", "lesions", "intensity", "grids", "groups", "brain")


@dataclass(frozen=True)
class ProfileView:
    """All that the page shows.

    Attributes:
        profile: The numbers.
        collected: The cases.
        plan: How they were looked at.
        advice: What follows.
        losses: What to compare first.
        command: How a comparison on these data begins: verb, data; empty where they cannot be compared yet.
        cautions: What to know before relying on the numbers.
    """

    profile: Profile
    collected: Collected
    plan: Plan
    advice: tuple[Advice, ...]
    losses: tuple[LossCall, ...]
    command: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    @property
    def comparison(self) -> str:
        """The whole command, as one would type it."""
        listed = ",".join(map(str, self.losses))
        return shlex.join([*self.command, "--losses", listed]) if self.losses and self.command else ""


def write_profile(folder: Path, view: ProfileView, content: Mapping[str, Any]) -> Path:
    """Write the profile's files, each as a whole, after all of them have been made.

    Args:
        folder: Made where it is not there.
        view: What the page shows.
        content: What `profile.json` holds; its `case_rows` become `cases.csv`.

    Returns:
        The page's path.
    """
    page = render_profile(view)
    write_whole(folder / "cases.csv", _bytes(as_csv(content["case_rows"])))
    write_whole(folder / "profile.html", _bytes(page))
    write_whole(folder / "profile.json", _bytes(json.dumps(content, indent=1) + "\n"))
    return folder / "profile.html"


def _bytes(text: str) -> bytes:
    """In UTF-8; what of a file's name is not text becomes escapes."""
    return text.encode("utf-8", errors="backslashreplace")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV; None is empty."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def render_profile(view: ProfileView) -> str:
    """The page as one HTML file. The same view and files give the same text."""
    profile = view.profile
    with house_style():
        figures = draw_profile(profile, view.collected)
    styles = files("unifocal.reporting").joinpath("templates")
    made = tables(profile)
    return template("profile.html.j2").render(
        colours={},
        css="\n".join(styles.joinpath(name).read_text("utf-8") for name in ("report.css", "profile.css")),
        profile=profile,
        headline=headline(profile),
        facts=facts(profile),
        cautions=view.cautions,
        examples=examples(view.collected.cases, view.plan),
        key=colours_of(view.plan),
        tables=made,
        figures=figures,
        sections=[name for name in _TOPICS if name in made or name in figures],
        titles=_TITLES,
        advice=view.advice,
        comparison=view.comparison,
    )


_TITLES = {
    "imbalance": "Imbalance",
    "lesions": "Lesions",
    "intensity": "Intensity",
    "grids": "Sizes and spacing",
    "groups": "Groups of cases",
    "brain": "Tumour-to-brain area ratio",
}
