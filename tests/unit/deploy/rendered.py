"""deploy/k8s, rendered by kubectl; skips where there is none."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from scripts.locked import ROOT
from tests.fakes.cluster import Cluster

OVERLAYS = ("dev", "prod", "keda", "hpa", "linkerd", "istio")


@cache
def cluster(overlay: str) -> Cluster:
    """An overlay's objects."""
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl on this machine: unrendered files are validated one by one")
    with TemporaryDirectory() as folder:
        deploy = Path(folder) / "deploy"
        shutil.copytree(ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("secrets", ".env"))
        if overlay == "dev":
            _make_secrets(deploy / "k8s" / "overlays" / "dev")
        done = subprocess.run(
            ("kubectl", "kustomize", str(deploy / "k8s" / "overlays" / overlay)),
            check=False, capture_output=True, text=True,
        )  # fmt: skip
    # Whatever is deprecated or was not found is said there, and is no failure.
    assert (done.returncode, done.stderr) == (0, "")
    return Cluster([each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each])


def _make_secrets(overlay: Path) -> None:
    devteam = f"{sys.executable} -m devteam_cli"
    subprocess.run((str(overlay / "secrets.sh"),), check=True, env={**os.environ, "DEVTEAM": devteam})
