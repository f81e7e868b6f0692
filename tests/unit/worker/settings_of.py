"""Settings out of a file, an environment and flags, or what was wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from devteam_worker.settings import WorkerSettings, load_settings

from devteam.mesh.errors import InvalidInput


def load(
    file: Path, yaml: str, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> WorkerSettings:
    file.write_text(yaml)
    return load_settings(file, flags or {}, environ or {})


def bare(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> WorkerSettings:
    return load_settings(None, flags or {}, environ or {})


def refused(
    file: Path, yaml: str, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(file, yaml, flags, environ)
    return [f"{violation.field}: {violation.message}" for violation in caught.value.violations]
