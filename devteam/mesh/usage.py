"""What a service answers to whoever starts it by hand: what it is, and which variables tell it what to do."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from functools import partial

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from devteam.mesh.process import Exit
from devteam.mesh.settings import ServiceSettings, variable

_WIDEST = 100


def answer(name: str, about: str, settings: type[ServiceSettings]) -> None:
    """Answer the arguments of this process, which is to be the service `name`; without any, it may go on and be it.

    `about` says in a sentence what the service does. Raises SystemExit: after --help, and for anything else.
    """
    arguments = sys.argv[1:]
    if not arguments:
        return
    prefix = str(settings.model_config.get("env_prefix", ""))
    if arguments == ["--help"]:
        print("\n".join(_help(name, about, prefix, settings)))  # noqa: T201 - what was asked for
        raise SystemExit(0)
    print(  # noqa: T201 - the process's last words
        f"error: the {name} takes no arguments but --help: it is told by {prefix}... variables", file=sys.stderr
    )
    raise SystemExit(Exit.USAGE)


def _help(name: str, about: str, prefix: str, settings: type[ServiceSettings]) -> Iterator[str]:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    yield f"Usage: python -m devteam_{name}\n"
    fill = partial(textwrap.fill, width=width, break_on_hyphens=False)
    yield fill(f"{about} It takes no arguments: variables of its environment tell it what to do.")
    fields = settings.model_fields
    # Its own first: what all services have is the longer part.
    for field in sorted(fields, key=_of_all_services):
        meaning = f"{fields[field].description} [{_default(fields[field])}]"
        yield f"\n{variable(prefix, field)}"
        yield fill(meaning, initial_indent="    ", subsequent_indent="    ")


def _of_all_services(field: str) -> bool:
    return field in ServiceSettings.model_fields


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr) or value in (None, ""):
        return "none"
    if isinstance(value, bool | list | dict):
        return json.dumps(value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)
