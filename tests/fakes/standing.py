"""How a service says that it stands, where a test does not care."""

from devteam.mesh.clock import Clock
from devteam.mesh.standing import OwnStanding


def a_standing(name: str, clock: Clock) -> OwnStanding:
    """Of a service that stands on nothing."""
    return OwnStanding(name, clock, list)
