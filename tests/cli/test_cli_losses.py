"""`unifocal losses`: what it prints, for people and for programs."""

import json

import pytest

from unifocal.cli.app import run
from unifocal.losses import SHARED_PARAMETERS, create, describe, names


@pytest.fixture(params=[80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_family_in_a_table(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    firsts = [line.split()[0] for line in lines if line.strip()]
    assert [first for first in firsts if first in names()] == list(names())
    assert any(line.startswith("focal ") and "distribution-based" in line and "gamma=2.0" in line for line in lines)
    assert any(line.split() == ["or", "mixed_focal"] or line.startswith("  or mixed_focal ") for line in lines)


@pytest.mark.parametrize("name", names())
def test_all_about_one_loss(name: str, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["losses", name]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    member, text = describe(name), squeezed(out)
    for part in (member.title, member.kind, *member.aliases, *member.formula.split(";  "), *member.paper.links):
        assert part in text
    for parameter in (*member.parameters, *SHARED_PARAMETERS):
        row = next(line for line in out.splitlines() if line.startswith(f"{parameter.name} "))
        assert str(parameter.default) in row
        if parameter.sensible:
            assert "{:g} to {:g}".format(*parameter.sensible) in row
    for reduction in member.reduces_to:
        assert str(reduction) in text
    assert squeezed(member.paper.citation) in text
    assert f"from unifocal.losses import {member.loss.__name__}" in text
    assert member.example in text


def test_an_alias_and_a_setting_name_a_loss_too(capsys: pytest.CaptureFixture[str]) -> None:
    outs = []
    for arguments in (["focal"], ["--set", "name=focal"]):
        assert run(["losses", *arguments]) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1]
    assert run(["losses", "bce"]) == 0
    assert "Cross entropy" in capsys.readouterr().out


def test_the_catalogue_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["losses", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [loss["name"] for loss in told["losses"]] == list(names())
    assert [p["name"] for p in told["shared_parameters"]] == [p.name for p in SHARED_PARAMETERS]
    for loss in told["losses"]:
        member = describe(loss["name"])
        assert loss["formula"] == member.formula
        assert loss["paper"]["links"] == list(member.paper.links)
        assert [each["text"] for each in loss["reduces_to"]] == [str(each) for each in member.reduces_to]
        chosen = {p["name"]: p["sensible"][0] for p in loss["parameters"] if p["sensible"]}
        create(loss["python"], **chosen, **loss["preset"])


def test_one_loss_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["losses", "--json"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert run(["losses", "mixed_focal", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["losses"] == [loss for loss in everything["losses"] if loss["name"] == "hybrid_focal"]


def test_an_unknown_name_is_met_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["unifed_focal"], ["unifed_focal", "--json"]):
        assert run(["losses", *arguments]) == 2
        captured = capsys.readouterr()
        assert "Did you mean 'unified_focal'" in captured.err
        assert not captured.out
