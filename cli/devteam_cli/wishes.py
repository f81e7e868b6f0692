"""What operators want, written as KEY=VALUE."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import typer

from devteam.plans import duration
from devteam.specs import Strategy, chosen
from devteam_cli.arguments import pairs

# Takes the text of a value; raises ValueError with a sentence.
Reader: TypeAlias = Callable[[str], object]

Wishes = Annotated[
    list[str], typer.Argument(help="As often as need be; nothing after = takes a wish back.", metavar="KEY=VALUE")
]


def wishes(given: list[str], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """What an update of the client takes: "locality-wait=3s" by that name, "labels.zone=a" as an entry of `labels`.

    `readers` has a reader for each key that there is, such as "locality-wait" or "labels.NAME". Raises
    typer.BadParameter.
    """
    found: dict[str, Any] = {}
    for key, value in pairs("KEY=VALUE", given).items():
        group, _, name = key.partition(".")
        read = _read(key, readers.get(f"{group}.NAME" if name else key), value, readers)
        if name:
            found.setdefault(_argument(group), {})[name] = read
        else:
            found[_argument(key)] = read
    return found


def taken_back_as(nothing: object, read: Reader) -> Reader:
    """`read` for what says something; an empty value takes a wish back, which a mesh hears as `nothing`."""
    return lambda text: read(text) if text else nothing


def one_of(kind: type[StrEnum]) -> Reader:
    """One of the choices."""
    return lambda text: chosen(kind, text)


def count(text: str) -> int:
    """A whole number."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


# How tasks are placed, be it over the fleet or in one queue.
PLACEMENT: Mapping[str, Reader] = {
    "strategy": taken_back_as("", one_of(Strategy)),
    "locality-wait": taken_back_as("", duration),
}


def _read(key: str, reader: Reader | None, value: str, readers: Mapping[str, Reader]) -> object:
    if reader is None:
        raise typer.BadParameter(f"{key!r} cannot be set; there are {', '.join(readers)}")
    try:
        return reader(value)
    except ValueError as error:
        raise typer.BadParameter(f"{key}: {error}") from None


def _argument(key: str) -> str:
    return key.replace("-", "_")
