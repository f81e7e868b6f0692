"""An authorizer that believes callers: each says its name, and is who the test says it is."""

from devteam.mesh.access.caller import ANYONE, Caller, Role
from devteam.mesh.interceptors.call import Call

_KEY = "test-caller"


class Believing:
    """Knows callers by name. Whoever gives none is anyone, as on a mesh without keys."""

    def __init__(self, callers: dict[str, Caller] | None = None) -> None:
        self.callers = callers or {}

    async def authorize(self, call: Call) -> Caller:
        name = call.metadata.get(_KEY, "")
        return self.callers[name] if name else ANYONE


def called(name: str) -> tuple[tuple[str, str], ...]:
    """Metadata of a call by the caller of that name."""
    return ((_KEY, name),)


def a_key(name: str, role: Role, tenant: str = "", *queues: str, worker_id: str = "") -> Caller:
    """Whom a key stands for."""
    return Caller(role, f"key-of-{name}", name, tenant, queues, worker_id)


# Of two tenants and of none, in every role.
CALLERS = {
    caller.name: caller
    for caller in (
        a_key("acme", Role.CLIENT, "acme"),
        a_key("globex", Role.CLIENT, "globex"),
        a_key("acme-operator", Role.OPERATOR, "acme"),
        a_key("globex-operator", Role.OPERATOR, "globex"),
        a_key("operator", Role.OPERATOR),
        a_key("admin", Role.ADMIN),
        a_key("acme-worker", Role.WORKER, "acme"),
        a_key("acme-worker-2", Role.WORKER, "acme"),
        a_key("globex-worker", Role.WORKER, "globex"),
        a_key("worker", Role.WORKER),
        a_key("worker-2", Role.WORKER),
        a_key("gpu-worker", Role.WORKER, "", "gpu"),
        a_key("bound-worker", Role.WORKER, worker_id="w-bound"),
        a_key("acme-bound-worker", Role.WORKER, "acme", worker_id="w-acme"),
        a_key("gpu-client", Role.CLIENT, "acme", "gpu"),
        a_key("two-queues-client", Role.CLIENT, "acme", "gpu", "cpu"),
        Caller(Role.SERVICE, name="mesh key"),
    )
}
SERVICE = "mesh key"
