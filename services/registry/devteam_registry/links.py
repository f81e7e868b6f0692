"""Workers' streams, as Routers report them. Held in memory only: after a restart Routers say everything again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

# Stands for Routers that are gone.
_NOBODY = ""


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


# One worker's streams, by the Router that spoke of each.
Links = Mapping[str, Link]


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


def joined(links: Links, word: LinkWord, router_id: str, now: float) -> Links:
    """The links after a Router's word about its own at `now`, in awake seconds."""
    if word.connected:
        return {**links, router_id: Link(router_id, connected=True, running=word.running, since=now)}
    known = links.get(router_id)
    since = now if known is None or known.connected else known.since
    given_up_at = None if word.given_up_in is None else now + word.given_up_in
    broken = Link(router_id, connected=False, running=word.running, since=since, given_up_at=given_up_at)
    return {**links, router_id: broken}


def severed(links: Links, router_id: str, now: float) -> Links:
    """The links when this Router has no stream to the worker."""
    known = links.get(router_id)
    if known is None or not known.connected:
        return links
    return {**links, router_id: replace(known, connected=False, since=now)}


def forgotten(links: Links, router_id: str, now: float) -> Links:
    """The links when this Router is gone: all that is left of its own is that there is no stream any more."""
    known = severed(links, router_id, now).get(router_id)
    if known is None:
        return links
    rest = {name: link for name, link in links.items() if name != router_id}
    since = max(known.since, rest[_NOBODY].since) if _NOBODY in rest else known.since
    return {**rest, _NOBODY: Link(_NOBODY, connected=False, running=0, since=since)}


def opened(links: Links) -> Links:
    """Only those that are open."""
    return {router_id: link for router_id, link in links.items() if link.connected}


def standing(links: Links) -> Link | None:
    """The link that speaks for all of them: an open one while there is any. None: nobody has said anything.

    When all are broken: the last that broke of those whose runs are not given up yet, with the runs of all of these and
    the moment when the last of them is given up.
    """
    if connected := opened(links):
        return replace(connected[min(connected)], running=sum(link.running for link in links.values()))
    pending = [link for link in links.values() if link.given_up_at is not None]
    last = max(pending or links.values(), key=lambda link: link.since, default=None)
    if last is None:
        return None
    given_up_at = max((link.given_up_at for link in pending if link.given_up_at is not None), default=None)
    return replace(last, running=sum(link.running for link in pending), given_up_at=given_up_at)
