"""Workers' streams, as Routers report them. Held in memory only: after a restart Routers say everything again."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Link:
    """A worker's stream to a Router, as last reported. Moments are in awake seconds.

    `running` counts what the worker had in hand there. `given_up_at` is when that is given up; None: it was.
    """

    router_id: str
    connected: bool
    running: int
    since: float
    given_up_at: float | None = None


@dataclass(frozen=True, slots=True)
class LinkWord:
    """What a Router says of one worker's stream; `given_up_in` in seconds, None: what ran there was given up."""

    worker_id: str
    instance_id: str
    connected: bool
    running: int = 0
    given_up_in: float | None = None


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What a Router says of the streams to it; `complete` when a stream that it does not name is gone."""

    router_id: str
    words: tuple[LinkWord, ...]
    complete: bool = False


def joined(known: Link | None, word: LinkWord, router_id: str, now: float) -> Link:
    """The link after a Router's word about it at `now`, in awake seconds."""
    if word.connected:
        return Link(router_id, connected=True, running=word.running, since=now)
    if known is not None and known.router_id != router_id and (known.connected or word.given_up_in is None):
        return known  # the worker has been with another Router since
    broke_before = known is not None and not known.connected and known.router_id == router_id
    since = known.since if known is not None and broke_before else now
    given_up_at = None if word.given_up_in is None else now + word.given_up_in
    return Link(router_id, connected=False, running=word.running, since=since, given_up_at=given_up_at)


def unnamed(known: Link | None, report: LinkReport, now: float) -> Link | None:
    """The link of a worker whom the report does not name."""
    if not report.complete or known is None or not known.connected or known.router_id != report.router_id:
        return known
    return replace(known, connected=False, since=now)
