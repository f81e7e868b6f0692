"""What is deployed of the gateway: the files of the wheel, and those of the places that deploy/ has.

python scripts/gateway.py generate | check
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from devteam_cli.gateway.folder import of_place, shared
from devteam_cli.gateway.place import Address, Place

from devteam.mesh.tls import TlsFiles

TARGET = Path(__file__).resolve().parent.parent / "deploy" / "envoy"
# As in Secrets of Kubernetes; compose has the same.
_CERTS = Path("certs")
_SHOWN = TlsFiles(_CERTS / "tls.crt", _CERTS / "tls.key")
_TRUSTED = TlsFiles(ca=_CERTS / "ca.crt")
_EVERYWHERE = Address("0.0.0.0", 8443)
_REGISTRY = Address("registry", 7401)

PLACES = {
    "compose": Place(
        listen=_EVERYWHERE,
        registry=_REGISTRY,
        router=Address("router", 7402),
        planner=Address("planner", 7403),
        collector=Address("otel-collector", 4317),
        certificate=_SHOWN,
        upstream=_TRUSTED,
    ),
    # Behind the headless Services are all Routers and all Planners.
    "cluster": Place(
        listen=_EVERYWHERE,
        registry=_REGISTRY,
        router=Address("router-headless", 7402),
        planner=Address("planner-headless", 7403),
        certificate=_SHOWN,
        upstream=_TRUSTED,
    ),
}


def files() -> Iterator[tuple[Path, bytes]]:
    """Every file with what it has to hold."""
    for name, content in shared():
        yield TARGET / name, content
    for place, where in PLACES.items():
        for name, content in of_place(where):
            yield TARGET / place / name, content


def main(command: str) -> int:
    """Carry out one command; the exit code says whether all is well."""
    stale = [path for path, content in files() if not path.exists() or path.read_bytes() != content]
    if command == "generate":
        for path, content in files():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return 0
    for path in stale:
        print(f"stale: {path.relative_to(TARGET.parent.parent)}; run `python scripts/gateway.py generate` and commit")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
