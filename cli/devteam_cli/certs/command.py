"""`devteam certs`: a private authority, and the certificates that it signs."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError, FailedPrecondition, InvalidInput, Violation
from devteam_cli import output
from devteam_cli.data_folder import default_path
from devteam_cli.failures import code_of, complain
from devteam_cli.output import Output
from devteam_cli.session import OutputOption, show
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam_cli.certs.facts import Facts
    from devteam_cli.certs.folder import CertFolder

app = typer.Typer(help="Make and renew the certificates of a mesh: a private authority, and what it signs.")


class Kind(StrEnum):
    """What a certificate is for. The first four serve, and so need names; the others only call."""

    REGISTRY = "registry"
    ROUTER = "router"
    PLANNER = "planner"
    GATEWAY = "gateway"
    WORKER = "worker"
    CLIENT = "client"


_SERVING = (Kind.REGISTRY, Kind.ROUTER, Kind.PLANNER, Kind.GATEWAY)
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+")

Folder = Annotated[Path | None, typer.Argument(help="Where they are kept [~/.devteam/certs].", metavar="DIR")]
In = Annotated[Path | None, typer.Option("--dir", help="Where they are kept [~/.devteam/certs].")]
Hosts = Annotated[list[str], typer.Option("--host", help="A name or address that it is reached by; may be repeated.")]
Days = Annotated[int, typer.Option(help="How long it holds.", min=1, max=825)]


@app.command()
def init(
    folder: Folder = None,
    *,
    host: Hosts = [],
    days: Days = 90,
    only: Annotated[
        list[str],
        typer.Option(help="Let the authority vouch for this domain or network alone; may be repeated."),
    ] = [],
) -> None:
    """Make a private authority (for 10 years), and a certificate for a mesh on this machine and at the --hosts."""
    with _folder(folder) as certs:
        check_hosts("host", host)
        made = certs.found(host, timedelta(days=days), within=_within(only, host))
        say(f"an authority, and a certificate for {', '.join(made.hosts)}, until {made.until:%Y-%m-%d}")
        say(f"keep {certs.key('ca')} safe: whoever has it can be any machine of the mesh; copy only ca.pem elsewhere")
        _tell([certs.cert("ca"), certs.cert("server"), certs.key("server")])


@app.command()
def issue(
    kind: Annotated[Kind, typer.Argument(help="What it is for.")],
    name: Annotated[str, typer.Argument(help="Its name: a worker's id, for example.")],
    *,
    directory: In = None,
    host: Hosts = [],
    spiffe: Annotated[str, typer.Option(help="The id in it [spiffe://devteam/KIND/NAME].", metavar="URI")] = "",
    days: Days = 90,
) -> None:
    """Make a certificate that one machine shows when it calls the mesh, or is called."""
    from devteam_cli.certs.authority import Subject

    with _folder(directory) as certs:
        _check("name", name, _NAME, "must be 1 to 64 characters of A-Z a-z 0-9 . _ -")
        uri = spiffe or f"spiffe://devteam/{kind}/{name}"
        _check("spiffe", uri, _SPIFFE, "must be of the form spiffe://DOMAIN/PATH")
        check_hosts("host", host)
        if host and kind not in _SERVING:
            raise InvalidInput(Violation("host", "INVALID_VALUE", f"a {kind} is not called, so that it has no hosts"))
        hosts = ("localhost", "127.0.0.1", "::1", *host) if kind in _SERVING else ()
        file = f"{kind}-{name}"
        made = certs.issue(file, Subject(name, hosts, [uri]), timedelta(days=days))
        say(f"a certificate for {uri}, until {made.until:%Y-%m-%d}")
        _tell([certs.cert(file), certs.key(file)])


@app.command()
def renew(
    names: Annotated[list[str], typer.Argument(help="Which [server]; see `devteam certs show`.")] = [],
    *,
    directory: In = None,
    days: Annotated[int | None, typer.Option(help="How long it holds [as long as before].", min=1, max=825)] = None,
) -> None:
    """Replace certificates by new ones for the same names. Servers that run use them for new connections, at once."""
    with _folder(directory) as certs:
        for name in names or ["server"]:
            if name == "ca":
                raise FailedPrecondition("an authority is not renewed: make a new one, in another folder")
            made = certs.renew(name, timedelta(days=days) if days else None)
            say(f"{certs.cert(name)} is new, and holds until {made.until:%Y-%m-%d %H:%M} UTC")


@app.command("show")
def show_all(folder: Folder = None, *, form: OutputOption = None) -> None:
    """Show what there is, for whom, and for how long."""
    with _folder(folder) as certs:
        known = {file: certs.known(file) for file in certs.files()}
        if form in (None, Output.TABLE):
            _show(known.items())
        else:
            output.write_items(form, ({"file": file, **_as_data(found)} for file, found in known.items()))


@contextmanager
def _folder(path: Path | None) -> "Iterator[CertFolder]":
    """The folder; what goes wrong becomes one line and an exit code."""
    try:
        from devteam_cli.certs.folder import CertFolder
    except ImportError:
        say('error: certificates need more than the SDK: pip install "devteam-orchestrator[server]"')
        raise typer.Exit(1) from None
    try:
        yield CertFolder(path or default_path() / "certs", datetime.now(UTC))
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None


def check_hosts(option: str, hosts: Sequence[str]) -> None:
    """Refuse what cannot stand in a certificate as a name or an address. Raises InvalidInput that names the option."""
    for host in hosts:
        _check(option, host, _is_host, "must be a name or an address, without a scheme and a port")


def _within(only: Sequence[str], hosts: Sequence[str]) -> Sequence[str]:
    """What the authority may vouch for; this machine always."""
    for place in only:
        _check("only", place, _is_place, "must be a domain as example.com, or a network as 10.0.0.0/8")
    return ["localhost", "127.0.0.0/8", "::1/128", *only, *map(_plain, hosts)] if only else []


def _plain(host: str) -> str:
    return host.removeprefix("*.")


def _is_host(text: str) -> object:
    import ipaddress

    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return _HOST.fullmatch(text)


def _is_place(text: str) -> object:
    import ipaddress

    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return _HOST.fullmatch(text)


def _check(field: str, text: str, form: "re.Pattern[str] | Callable[[str], object]", message: str) -> None:
    matches = form.fullmatch(text) if isinstance(form, re.Pattern) else form(text)
    if not matches:
        raise InvalidInput(Violation(f"--{field}", "INVALID_VALUE", f"{message}, not {text!r}"))


def _tell(files: Sequence[Path]) -> None:
    for file in files:
        print(file)  # noqa: T201 - the command's output


def _show(known: "Iterable[tuple[str, Facts]]") -> None:
    from devteam_cli.render import table
    from devteam_cli.text import span

    now = datetime.now(UTC)
    rows = [
        (file, found.name, ", ".join((*found.hosts, *found.uris)), f"{found.until:%Y-%m-%d}", _left(found, now, span))
        for file, found in known
    ]
    show(table(("FILE", "NAME", "FOR", "UNTIL", "LEFT"), rows))


def _left(found: "Facts", now: datetime, words: Callable[[timedelta], str]) -> str:
    return words(found.until - now) if found.until > now else "expired"


def _as_data(found: "Facts") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(found)
