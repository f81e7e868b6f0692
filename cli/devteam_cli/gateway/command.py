"""`devteam gateway`: the front door of a mesh, elsewhere than beside `devteam up`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli.failures import code_of, complain
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam.mesh.tls import TlsFiles

app = typer.Typer(
    help="Put an Envoy before a mesh: gRPC, gRPC-Web, JSON and the page at one port.", no_args_is_help=True
)

_PLAIN, _TLS = 8080, 8443
_HOST_PORT = "HOST:PORT"

Folder = Annotated[Path, typer.Argument(help="Where to write shared/, config/ and run/.", metavar="DIR")]
Registry = Annotated[str, typer.Option(help="Where the Registry is.", metavar=_HOST_PORT)]
Router = Annotated[
    str, typer.Option(help="Where the Router is; a name of several calls all in turn.", metavar=_HOST_PORT)
]
Planner = Annotated[
    str, typer.Option(help="Where the Planner is; a name of several calls all in turn.", metavar=_HOST_PORT)
]
Page = Annotated[str, typer.Option(help="Where `devteam ui` is, to serve the page at / [no page].", metavar=_HOST_PORT)]
Collector = Annotated[str, typer.Option(help="Where spans go, as OTLP over gRPC [nowhere].", metavar=_HOST_PORT)]
ListenAt = Annotated[
    str, typer.Option("--listen", help="[127.0.0.1:8080; with --cert 0.0.0.0:8443]", metavar=_HOST_PORT)
]
Cert = Annotated[Path | None, typer.Option(help="Certificate to show, as PEM: a path as Envoy sees it from DIR.")]
Key = Annotated[Path | None, typer.Option(help="The key of --cert.")]
UpstreamCa = Annotated[Path | None, typer.Option(help="Who signs the services' certificates [they speak plain text].")]
UpstreamCert = Annotated[Path | None, typer.Option(help="Certificate to show to services that want one.")]
UpstreamKey = Annotated[Path | None, typer.Option(help="The key of --upstream-cert.")]
AllowOrigin = Annotated[
    list[str] | None, typer.Option(help="A page that may call from browsers: https://app.example; may be repeated.")
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="A name that the mesh is called by, beside addresses and localhost; may be repeated [any]."),
]
Rate = Annotated[int, typer.Option(help="Calls a second that one address may make.", min=1, max=1_000_000)]
Insecure = Annotated[bool, typer.Option("--insecure-i-know", help="Listen beyond this machine without TLS.")]


@app.callback()
def gateway() -> None:
    """Put an Envoy before a mesh: gRPC, gRPC-Web, JSON and the page at one port."""


@app.command("config")
def config(
    folder: Folder,
    *,
    registry: Registry,
    router: Router,
    planner: Planner,
    page: Page = "",
    collector: Collector = "",
    listen: ListenAt = "",
    cert: Cert = None,
    key: Key = None,
    upstream_ca: UpstreamCa = None,
    upstream_cert: UpstreamCert = None,
    upstream_key: UpstreamKey = None,
    allow_origin: AllowOrigin = None,
    allow_host: AllowHost = None,
    rate: Rate = 200,
    insecure: Insecure = False,
) -> None:
    """Write the files that Envoy runs on, or write them anew: one that runs follows, and cuts no stream."""
    from devteam.mesh.address import is_loopback
    from devteam_cli.gateway.folder import write
    from devteam_cli.gateway.place import Address, Place

    shown = _pair("--cert", cert, "--key", key)
    try:
        place = Place(
            listen=Address.parse("--listen", listen or (f"0.0.0.0:{_TLS}" if shown else f"127.0.0.1:{_PLAIN}")),
            registry=Address.parse("--registry", registry),
            router=Address.parse("--router", router),
            planner=Address.parse("--planner", planner),
            page=Address.parse("--page", page) if page else None,
            collector=Address.parse("--collector", collector) if collector else None,
            certificate=shown,
            upstream=_upstream(upstream_ca, upstream_cert, upstream_key),
            origins=_origins(allow_origin or []),
            names=allow_host,
            rate=rate,
        )
        _refuse_exposure(place.listen.host, tls=shown is not None, insecure=insecure)
        write(place, folder)
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    if place.page and not is_loopback(place.listen.host):
        say("note: the page asks for no key; whoever reaches the gateway sees all that the page's own key may see")
    say(f"written; start it with: cd {folder} && envoy --config-path shared/envoy.yaml")


def _pair(cert_option: str, cert: Path | None, key_option: str, key: Path | None) -> "TlsFiles | None":
    from devteam.mesh.tls import TlsFiles

    if (cert is None) != (key is None):
        raise typer.BadParameter(f"{cert_option} and {key_option} go together", param_hint=cert_option)
    return TlsFiles(cert, key) if cert else None


def _upstream(ca: Path | None, cert: Path | None, key: Path | None) -> "TlsFiles | None":
    from devteam.mesh.tls import TlsFiles

    shown = _pair("--upstream-cert", cert, "--upstream-key", key)
    if ca is None:
        if shown is not None:
            raise typer.BadParameter("is needed with --upstream-cert", param_hint="--upstream-ca")
        return None
    return TlsFiles(cert, key, ca)


def _origins(given: list[str]) -> list[str]:
    from urllib.parse import urlsplit

    for origin in given:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}" or not parts.netloc:
            raise typer.BadParameter(f"{origin!r} is not of the form https://host[:port]", param_hint="--allow-origin")
    return given


def _refuse_exposure(host: str, *, tls: bool, insecure: bool) -> None:
    from devteam.mesh.address import is_loopback
    from devteam.mesh.errors import FailedPrecondition

    if not (tls or insecure or is_loopback(host)):
        raise FailedPrecondition(
            f"refusing to listen on {host} in plain text: keys and prompts could be read on the way. Give --cert and "
            "--key, listen on 127.0.0.1, or say --insecure-i-know.",
            reason="EXPOSED_WITHOUT_AUTH",
        )
