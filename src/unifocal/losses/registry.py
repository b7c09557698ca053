"""Losses by name, for configuration files and the command line."""

import importlib
import inspect
from collections.abc import Collection

from torch import nn

from unifocal.losses.base import keywords
from unifocal.losses.catalogue import MEMBERS, Member
from unifocal.losses.suggest import suggestion

_BY_NAME = {name: member for member in MEMBERS for name in (member.name, *member.aliases)}


class UnknownLossError(ValueError):
    """There is no loss of that name."""


def names() -> tuple[str, ...]:
    """The names of all losses of the family, without their aliases."""
    return tuple(member.name for member in MEMBERS)


def describe(name: str) -> Member:
    """What is known about the loss `name`, which may be an alias.

    Raises:
        UnknownLossError: If there is no such loss; the message names those with similar names.
    """
    if name not in _BY_NAME:
        raise UnknownLossError(
            f"There is no loss {name!r}. {suggestion(name, _BY_NAME)} "
            "A loss of your own goes by 'package.module:ClassName'."
        )
    return _BY_NAME[name]


def create(name: str, **parameters: object) -> nn.Module:
    """The loss `name` with `parameters`.

    Args:
        name: A name of `names()`, an alias, or `package.module:ClassName` for any other loss
            that is an `nn.Module`, called as `loss(logits, target)`.
        **parameters: What its class takes; see `describe`.

    Raises:
        UnknownLossError: If there is no such loss.
        TypeError: If it has no such parameter, or a value has the wrong type.
        ValueError: If a value is out of range.
    """
    if ":" in name:
        loss: type[nn.Module] = _imported(name)
        valid: Collection[str] = keywords(loss)
        _check_known(name, parameters, valid, open_ended=_takes_anything(loss))
        return loss(**parameters)
    member = describe(name)
    valid = [key for key in keywords(member.loss) if key not in member.preset]
    _check_known(name, parameters, valid, open_ended=False)
    everything: dict[str, object] = {**member.preset, **parameters}
    return member.loss(**everything)  # type: ignore[arg-type]


def _check_known(name: str, parameters: Collection[str], valid: Collection[str], *, open_ended: bool) -> None:
    for parameter in parameters:
        if parameter not in valid and not open_ended:
            raise TypeError(f"The loss {name!r} has no parameter {parameter!r}. {suggestion(parameter, valid)}")


def _takes_anything(loss: type[nn.Module]) -> bool:
    """Whether a foreign class takes further keywords that its signature does not name."""
    kinds = {parameter.kind for parameter in inspect.signature(loss).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def _imported(path: str) -> type[nn.Module]:
    """The class at `package.module:ClassName`."""
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UnknownLossError(
            f"There is no module {error.name!r} for the loss {path!r}: is it installed, or its folder on PYTHONPATH?"
        ) from error
    except ValueError as error:
        raise UnknownLossError(f"{path!r} is not of the form 'package.module:ClassName'") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise UnknownLossError(
            f"{module_name} has no {class_name!r} for the loss {path!r}. "
            f"{suggestion(class_name, _losses_in(vars(module)))}"
        )
    if not _is_loss(found):
        raise TypeError(f"{path!r} must be a class derived from torch.nn.Module, got {found!r}")
    return found  # type: ignore[no-any-return]


def _losses_in(namespace: dict[str, object]) -> list[str]:
    return [name for name, value in namespace.items() if _is_loss(value)]


def _is_loss(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)
