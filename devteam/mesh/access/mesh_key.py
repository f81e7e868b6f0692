"""The one key that every service of a mesh is given."""

import os
import stat
from pathlib import Path

from devteam.mesh.access.key import id_of
from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.settings import ServiceSettings, variable

# Whoever has it is the mesh. The group may read it: so does Kubernetes hand a Secret to a process that is not root.
_FORBIDDEN = stat.S_IWGRP | stat.S_IRWXO
# The longest file that can be one.
_MOST_BYTES = 1_024


def mesh_key_of(settings: ServiceSettings) -> str:
    """The mesh key that settings give, or lead to; "" when they name none.

    Raises InvalidInput for a file that cannot be read or that others can read, and for what is no mesh key.
    """
    key = settings.mesh_key.get_secret_value().strip()
    prefix = str(settings.model_config.get("env_prefix", ""))
    if key and settings.mesh_key_file:
        raise _refusal(prefix, "mesh_key_file", f"set either it or {variable(prefix, 'mesh_key')}, not both")
    if settings.mesh_key_file is None:
        return _checked(key, prefix, "mesh_key")
    return _checked(_read(settings.mesh_key_file, prefix), prefix, "mesh_key_file", required=True)


def _read(file: Path, prefix: str) -> str:
    try:
        with file.open(encoding="ascii") as opened:
            # Of what is read, whatever the name stands for by now.
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_MOST_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _refusal(prefix, "mesh_key_file", f"{file} cannot be read: {why}") from None
    if mode & _FORBIDDEN:
        raise _refusal(prefix, "mesh_key_file", f"others can read or change {file}: `chmod 600 {file}`")
    return text


def _checked(key: str, prefix: str, field: str, *, required: bool = False) -> str:
    if (key or required) and not (key.startswith("dtm_") and id_of(key)):
        raise _refusal(
            prefix, field, "holds no mesh key: one begins with dtm_, and this one is mistyped or another kind"
        )
    return key


def _refusal(prefix: str, field: str, message: str) -> InvalidInput:
    return InvalidInput(Violation(variable(prefix, field), "INVALID_VALUE", message))
