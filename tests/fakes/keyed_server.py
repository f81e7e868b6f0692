"""A server that asks for keys as a service's own does, and sets no limits."""

from devteam.mesh.access.authorizer import KeyAuthorizer
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.rates import Rates
from devteam.mesh.access.streams import KeyStreams
from devteam.mesh.clock import Clock
from devteam.mesh.ids import Ids
from devteam.mesh.server import Listen, MeshServer


def keyed_server(listen: Listen, ids: Ids, keyring: Keyring, clock: Clock) -> MeshServer:
    """One that judges callers by `keyring`, and ends the streams of keys that end."""
    authorizer = KeyAuthorizer(keyring, clock, Rates(clock, {}))
    return MeshServer(listen, ids, authorizer, keyring, (KeyStreams(keyring, clock, most=0).layer,))
