"""Judges callers by their keys, as little as will do for tests of what the keys themselves do."""

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.rules import RULES
from devteam.mesh.errors import PermissionDenied, Unauthenticated
from devteam.mesh.interceptors.call import Call

# Whoever shows no key, where none is asked for.
NOBODY = Caller(Role.WORKER, name="nobody")


class KeyedAuthorizer:
    """Lets each role make the calls that the table gives it."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def authorize(self, call: Call) -> Caller:
        """Who calls."""
        rule, shown = RULES[call.method], call.metadata.get("authorization", "")
        secret = shown.removeprefix("Bearer ")
        if not secret and not rule.open:
            raise Unauthenticated("show a key")
        caller = self._keyring.identify(secret) if secret else NOBODY
        if not rule.open and caller.role not in rule.roles:
            raise PermissionDenied(f"a {caller.role.value} cannot call {call.method}", reason="ROLE_NOT_ALLOWED")
        return caller
