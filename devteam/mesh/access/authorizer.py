"""Judges callers by their keys and certificates, and by the table of rules."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

from devteam.mesh.access.caller import STRANGER, Caller, Role
from devteam.mesh.access.certificates import Identity, identified
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.notices import Notices
from devteam.mesh.access.peer import Proxies, counted
from devteam.mesh.access.penalties import Penalties
from devteam.mesh.access.rates import RATE_LIMITED, Rates
from devteam.mesh.access.rules import RULES, Rule
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError, PermissionDenied, Unauthenticated
from devteam.mesh.interceptors.call import Call

_log = structlog.get_logger()

_MISSING = (
    "this mesh asks for an API key: set DEVTEAM_API_KEY, or send it as `authorization: Bearer KEY`; "
    "an admin makes one with `devteam keys create`"
)


class KeyAuthorizer:
    """Lets in whoever shows a key, or a certificate, whose role may make the call; deny is the default."""

    def __init__(
        self,
        keyring: Keyring,
        clock: Clock,
        rates: Rates,
        *,
        identities: Sequence[Identity] = (),
        proxies: Proxies | None = None,
    ) -> None:
        self._keyring = keyring
        self._rates = rates
        self._identities = tuple(identities)
        self._proxies = proxies or Proxies()
        self._penalties = Penalties(clock)
        self._notices = Notices(clock)

    async def turns_away(self, method: str, metadata: Mapping[str, str]) -> bool:
        """Whether a call is refused for what it shows, wherever it comes from. A key that may be new is waited for."""
        rule, secret = RULES.get(method), _shown(metadata)
        if rule is None:
            return True
        if not secret:
            return not (rule.open or self._identities)
        await self._keyring.await_news(secret)
        try:
            caller = self._keyring.identify(secret)
        except DevTeamError:
            return True
        return caller.role not in rule.roles

    def reads_late(self, method: str) -> bool:
        """Whether others than services make the call: what they begin to send and never end has to be bounded."""
        return (rule := RULES.get(method)) is not None and rule.roles != {Role.SERVICE}

    async def authorize(self, call: Call) -> Caller:
        """Who calls. Raises Unauthenticated, PermissionDenied, ResourceExhausted; Unavailable while no key is known."""
        try:
            rule = self._rule(call.method)
            # Known from here on, also to what tells of a refusal.
            call.caller = caller = self._caller(call, rule)
            call.subject = self._subject(call, caller)
            if call.subject:
                # Also for what is refused: it is audited, and must not come more often either.
                self._rates.charge(call.subject, rule.rate, caller.rate)
            _let(caller, rule, call.method)
        except DevTeamError as refusal:
            call.quiet = not self._notices.first(call.subject or self._address(call), refusal.reason)
            raise
        return caller

    @asynccontextmanager
    async def quietly(self, call: Call) -> AsyncIterator[None]:
        """Have the log tell once a minute, too, of what others than this refuse: strangers, and what is too much."""
        try:
            yield
        except DevTeamError as refusal:
            if call.caller is STRANGER or refusal.reason == RATE_LIMITED:
                call.quiet = not self._notices.first(call.subject, refusal.reason)
            raise

    def _rule(self, method: str) -> Rule:
        rule = RULES.get(method)
        if rule is None:
            if self._notices.first(method, "NO_RULE"):
                _log.error("method without a rule refused", method=method)
            raise PermissionDenied("nobody may make this call: it has no row in the table of roles", reason="NO_RULE")
        return rule

    def _caller(self, call: Call, rule: Rule) -> Caller:
        secret = _shown(call.metadata)
        if secret:
            return self._by_key(call, secret)
        named = identified(self._identities, call.context.auth_context()) if self._identities else None
        if named is not None:
            return named
        if rule.open:
            return STRANGER
        raise Unauthenticated(_MISSING)

    def _by_key(self, call: Call, secret: str) -> Caller:
        try:
            return self._keyring.identify(secret)
        except Unauthenticated:
            call.cause = self._keyring.flaw_in(secret)
            self._penalties.failed(self._address(call))
            raise

    def _subject(self, call: Call, caller: Caller) -> str:
        return f"address {self._address(call)}" if caller is STRANGER else caller.subject

    def _address(self, call: Call) -> str:
        return counted(call.origin(self._proxies))


def _shown(metadata: Mapping[str, str]) -> str:
    """The key that a call shows; empty without one. What comes in another scheme is none that could be valid."""
    scheme, _, token = (said := metadata.get("authorization", "").strip()).partition(" ")
    if scheme.lower() == "bearer":
        return token.strip() or said
    return metadata.get("x-api-key", "").strip() or said


def _let(caller: Caller, rule: Rule, method: str) -> None:
    if caller is STRANGER or caller.role in rule.roles:
        return
    name, roles = method.rpartition("/")[2], _in_words(rule)
    raise PermissionDenied(
        f"a key of the role {caller.role} cannot call {name}: that takes {roles}", reason="ROLE_NOT_ALLOWED"
    )


def _in_words(rule: Rule) -> str:
    people = [role.value for role in Role if role in rule.roles and role is not Role.SERVICE]
    return f"the role {' or '.join(people)}" if people else "a service of the mesh"
