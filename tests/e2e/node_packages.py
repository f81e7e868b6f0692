"""Programs in JavaScript, with what they need."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import PATIENCE, environment


def with_packages(source: Path, factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with its packages, outside of the repository. Skips where they cannot be had."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on PATH")
    ignored = shutil.ignore_patterns("node_modules")
    folder = shutil.copytree(source, factory.mktemp("node") / source.name, ignore=ignored)
    # A machine without a network is to find that out soon.
    quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries", "0")
    try:
        installed = subprocess.run(
            ("npm", "ci", *quietly, "--cache", str(factory.mktemp("npm"))),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the packages of {source.name} within {PATIENCE:g} s")
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install the packages of {source.name}: {installed.stderr.strip()[-500:]}")
    return folder
