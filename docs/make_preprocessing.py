"""Fills docs/preprocessing.md with what the steps say of themselves: `python docs/make_preprocessing.py`."""

from pathlib import Path

from generated import filled

from unifocal.preprocessing.pipeline import ParameterFacts, StepFacts, steps

PAGE = Path(__file__).parent / "preprocessing.md"


def steps_table() -> str:
    """Every step with its parameters."""
    rows = ["| step | what it does | parameters |", "|---|---|---|"]
    return "\n".join([*rows, *map(_row, steps())])


def _row(step: StepFacts) -> str:
    what = f"{step.title}. {step.source}" if step.source else step.title
    return f"| `{step.name}` | {what} | {'<br>'.join(map(_parameter, step.parameters)) or 'none'} |"


def _parameter(facts: ParameterFacts) -> str:
    value = "required" if facts.is_required else f"`{_written(facts.default)}`"
    return f"`{facts.name}` ({value}): {facts.meaning}"


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) or default is None else str(default)


PARTS = {"steps": steps_table}

if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PARTS), encoding="utf-8")
