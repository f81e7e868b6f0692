"""What deployments keep of prompts and answers: encrypted, and not for ever."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from devteam_planner.encryption_keys import read_keys
from devteam_planner.settings import Settings

from scripts.locked import ROOT
from tests.fakes.compose_file import TOLD, compose_file
from tests.fakes.deployed import known_to, settings_of
from tests.unit.deploy.rendered import cluster

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
# All that keeps anything; dev forgets with its pods.
KEEP = ("prod", "keda", "hpa", "linkerd", "istio")


def planner_of(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_of("planner", env, monkeypatch)
    assert isinstance(settings, Settings)
    return settings


class TestKubernetes:
    @pytest.mark.parametrize("overlay", KEEP)
    def test_planners_encrypt_with_a_secret_of_the_operators(
        self, overlay: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = cluster(overlay)
        pod = found.pod("devteam-planner")
        [container] = pod.spec["containers"]
        file = planner_of(found.environment(pod, container), monkeypatch).encryption_keys_file
        assert file is not None
        [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == str(file.parent)]
        [volume] = [each for each in pod.spec["volumes"] if each["name"] == mount["name"]]
        assert volume["secret"]["defaultMode"] == 0o440
        assert f"create secret generic {volume['secret']['secretName']} --from-file={file.name}" in PAGE

    @pytest.mark.parametrize("overlay", KEEP)
    def test_planners_erase_what_ended_long_ago(self, overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = cluster(overlay)
        pod = found.pod("devteam-planner")
        told = found.environment(pod, pod.spec["containers"][0])
        # Temporal's own histories are not to outlive the plans.
        assert planner_of(told, monkeypatch).retention_days > _temporals_days()

    @pytest.mark.parametrize("overlay", ["prod", "linkerd", "istio"])
    def test_for_how_long_is_marked_as_the_operators(self, overlay: str) -> None:
        text = (DEPLOY / "k8s" / "overlays" / overlay / "kustomization.yaml").read_text(encoding="utf-8")
        [before] = [one for one, two in pairwise(text.splitlines()) if "DEVTEAM_PLANNER_RETENTION_DAYS=" in two]
        assert before.strip().startswith("# Yours: ")


class TestCompose:
    def test_the_planner_encrypts_and_erases(self, monkeypatch: pytest.MonkeyPatch) -> None:
        part: Any = compose_file(DEPLOY / "compose.yaml", TOLD)["services"]["planner"]
        settings = planner_of(part["environment"], monkeypatch)
        assert settings.encryption_keys_file == Path("/run/secrets/encryption.keys")
        assert "encryption.keys" in part["secrets"]
        assert settings.retention_days > _temporals_days()

    def test_nothing_is_erased_that_nobody_has_decided_on(self) -> None:
        """A file that was made before would have old plans erased at once, by a default."""
        environ = {name: value for name, value in TOLD.items() if name != "DEVTEAM_RETENTION_DAYS"}
        with pytest.raises(LookupError, match="for how many days"):
            compose_file(DEPLOY / "compose.yaml", environ)

    def test_its_secrets_hold_a_key_that_planners_take(self, tmp_path: Path) -> None:
        copy = tmp_path / "deploy" / "compose"
        shutil.copytree(DEPLOY / "compose", copy, ignore=shutil.ignore_patterns("secrets"))
        devteam = f"{sys.executable} -m devteam_cli"
        subprocess.run(
            (str(copy / "secrets.sh"),), check=True, capture_output=True, env={**os.environ, "DEVTEAM": devteam}
        )
        assert len(read_keys(copy / "secrets" / "encryption.keys").keys) == 1
        assert "DEVTEAM_RETENTION_DAYS=90\n" in (copy.parent / ".env").read_text(encoding="utf-8")


def test_the_page_names_settings_that_there_are() -> None:
    [paragraph] = [part for part in PAGE.split("\n\n") if part.startswith("**What is kept.**")]
    for service, field in [("planner", "retention_days"), ("planner", "encryption_keys_file")]:
        [variable] = [name for name, known in known_to(service).items() if known == field]
        assert f"`{variable}`" in paragraph
    assert "audit_file" in known_to("registry").values()
    assert "`DEVTEAM_..._AUDIT_FILE`" in paragraph


def _temporals_days() -> float:
    """How long histories are kept, as compose has it made."""
    text = (DEPLOY / "compose" / "temporal-namespace.sh").read_text(encoding="utf-8")
    return int(text.partition("--retention ")[2].partition("h")[0]) / 24
