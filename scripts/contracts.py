"""The contracts' tools: generate what is made of them, check it, lint, and compare with what was released.

Everything runs offline, on descriptor images: buf from its wheel, Google's protos from theirs.

    python scripts/contracts.py generate | check | lint | breaking | release
"""

import filecmp
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
STUBS = (ROOT / "devteam" / "v1", ROOT / "devteam" / "keda")
RELEASED = PROTO / "released.binpb"
# What Envoy makes gRPC of JSON by.
DESCRIPTORS = ROOT / "cli" / "devteam_cli" / "gateway" / "files" / "devteam.binpb"
# Details of errors: they come as Any, so that Envoy has to know them by itself.
DETAILS = "google/rpc/error_details.proto"
BIN = Path(sys.executable).parent


def protoc(*arguments: str) -> None:
    """Run protoc from grpcio-tools, with its plugins from this environment."""
    includes = [f"-I{PROTO}", f"-I{sysconfig.get_path('purelib')}"]
    plugins = [f"--plugin={name}={BIN / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, *plugins, *arguments]
    # The plugins list every file that they write, as if it were a warning.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def sources(*, services_only: bool = False) -> list[str]:
    """The contract files, in order."""
    found = sorted((PROTO / "devteam").glob("*/*.proto"))
    return [str(path) for path in found if not services_only or "\nservice " in path.read_text()]


def generate(target: Path) -> None:
    """Write messages, services and their types below `target`."""
    protoc(f"--python_out={target}", f"--mypy_out={target}", *sources())
    protoc(f"--grpc_python_out={target}", f"--mypy_grpc_out={target}", *sources(services_only=True))


def describe(path: Path) -> None:
    """Write all that Envoy has to know of the contracts."""
    protoc("--include_imports", f"--descriptor_set_out={path}", *sources(services_only=True), DETAILS)


def check() -> int:
    """Compare what is committed with what would be generated."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = [name for stubs in STUBS for name in differing(Path(folder) / stubs.relative_to(ROOT), stubs)]
        fresh = Path(folder) / "devteam.binpb"
        describe(fresh)
        stale += [DESCRIPTORS.name] if DESCRIPTORS.read_bytes() != fresh.read_bytes() else []
    if stale:
        print(f"stale: {', '.join(stale)}; run `make proto` and commit", file=sys.stderr)
    return bool(stale)


def differing(fresh: Path, committed: Path) -> list[str]:
    """The names of stubs that are not the same in both folders, or missing in one."""
    names = {path.name for path in fresh.iterdir()} | {path.name for path in committed.glob("*_pb2*")}
    _, different, missing = filecmp.cmpfiles(fresh, committed, sorted(names), shallow=False)
    return [*different, *missing]


def image(path: Path) -> None:
    """Write the contracts and everything they import as one descriptor image."""
    protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={path}", *sources())


def buf(*arguments: str) -> int:
    """Run buf on an image of the contracts as they are now."""
    with tempfile.TemporaryDirectory() as folder:
        now = Path(folder) / "now.binpb"
        image(now)
        command, *rest = arguments
        return subprocess.run([BIN / "buf", command, now, "--config", ROOT / "buf.yaml", *rest], check=False).returncode


def main(command: str) -> int:
    """Carry out one command; the exit code says whether all is well."""
    match command:
        case "generate":
            for stub in (stub for folder in STUBS for stub in folder.glob("*_pb2*")):
                stub.unlink()
            generate(ROOT)
            describe(DESCRIPTORS)
            return 0
        case "check":
            return check()
        case "lint":
            return buf("lint")
        case "breaking":
            return buf("breaking", "--against", str(RELEASED))
        case "release":
            with tempfile.TemporaryDirectory() as folder:
                image(Path(folder) / "released.binpb")
                shutil.copy(Path(folder) / "released.binpb", RELEASED)
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
