"""What Routers say of themselves and of workers' streams, with every violation of a request reported together."""

from pydantic import TypeAdapter, ValidationError

from devteam.mesh.durations import seconds_of
from devteam.mesh.settings import Address, HostPort
from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2 as pb
from devteam_registry.convert.checks import MAX_CONCURRENCY
from devteam_registry.links import LinkReport, LinkWord

_MOST_LINKS = 1_000
_LONGEST_ADDRESS = 255
_URL, _HOST_PORT = TypeAdapter(Address), TypeAdapter(HostPort)


def watcher_from_proto(request: pb.WatchWorkersRequest) -> tuple[str, str]:
    """Which Router asks, and its address; empty for anybody else. Raises InvalidInput."""
    found = Violations()
    found.name("router_id", request.router_id, required=bool(request.address))
    if request.address:
        _check_address(found, request.address)
    found.raise_if_any()
    return request.router_id, request.address


def link_report_from_proto(request: pb.ReportLinksRequest) -> LinkReport:
    """What a Router says of workers' streams. Raises InvalidInput."""
    found = Violations()
    found.name("router_id", request.router_id)
    found.count("links", len(request.links), _MOST_LINKS)
    for index, link in enumerate(request.links[:_MOST_LINKS]):
        with found.at(f"links[{index}]"):
            found.name("worker_id", link.worker_id)
            found.name("instance_id", link.instance_id)
            found.between("running", link.running, 0, MAX_CONCURRENCY)
    found.raise_if_any()
    return LinkReport(request.router_id, tuple(_link_word(link) for link in request.links), request.complete)


def _link_word(link: pb.WorkerLink) -> LinkWord:
    given_up_in = seconds_of(link.given_up_in) if link.HasField("given_up_in") else None
    return LinkWord(link.worker_id, link.instance_id, link.connected, link.running, given_up_in)


def _check_address(found: Violations, address: str) -> None:
    found.text("address", address, limit=_LONGEST_ADDRESS)
    kind = _URL if address.startswith(("http://", "https://")) else _HOST_PORT
    try:
        kind.validate_python(address)
    except ValidationError:
        found.add("address", "ADDRESS_FORMAT", "must be of the form host:port or http://host:port")
