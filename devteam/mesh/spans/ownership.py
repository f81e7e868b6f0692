"""Whose spans are whose: a trace is joined by whoever knows its id, so that not all in it need be one tenant's."""

from collections.abc import Mapping, Sequence

from devteam.mesh import names
from devteam.mesh.access.caller import ANYONE, Caller, Role
from devteam.v1 import trace_pb2 as pb


def mark_of(caller: Caller) -> str | None:
    """What to write as the tenant of spans that a caller brings, whatever they say; "": nothing. None: leave them.

    Only the services of a mesh are believed: who could name a tenant could show itself that tenant's traces.
    """
    if caller.role is Role.SERVICE or caller == ANYONE:
        return None
    return caller.tenant


def marked(span: pb.Span, mark: str | None) -> None:
    """Have a span say that it is of a tenant, or of none; see mark_of."""
    if mark:
        span.attributes[names.TENANT] = mark
    elif mark is not None:
        span.attributes.pop(names.TENANT, None)


def seen_by(spans: Sequence[pb.Span], whose: str) -> list[pb.Span]:
    """The spans of a trace that one tenant may see: those of its own, and what lies below them.

    Where no other tenant is in the trace, also what nobody is named for; none in a trace without a span of its own.
    """
    known = {span.span_id: span for span in spans}
    owners: dict[str, str] = {}
    for span in spans:
        _find_owner(span, known, owners)
    named = {*owners.values()} - {""}
    if whose not in named:
        return []
    shown = {whose, ""} if named == {whose} else {whose}
    return [span for span in spans if owners[span.span_id] in shown]


def _find_owner(span: pb.Span, known: Mapping[str, pb.Span], owners: dict[str, str]) -> None:
    """Note whose it is, and everything between it and the nearest span above it that says so."""
    above: list[str] = []
    seen = set[str]()
    at: pb.Span | None = span
    owner = ""
    while at is not None and at.span_id not in seen:
        owner = owners.get(at.span_id, "") or at.attributes.get(names.TENANT, "")
        above.append(at.span_id)
        seen.add(at.span_id)
        at = None if owner or at.span_id in owners else known.get(at.parent_span_id)
    owners.update(dict.fromkeys(above, owner))
