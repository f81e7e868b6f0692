"""Tells of what operators, and whoever makes keys, have done: one line a call, when it ends."""

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from devteam.mesh.access.caller import ANYONE, STRANGER, Caller
from devteam.mesh.access.particulars import particulars
from devteam.mesh.access.peer import Proxies
from devteam.mesh.access.rates import RATE_LIMITED
from devteam.mesh.access.rules import RULES
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.interceptors.call import Call
from devteam.mesh.interceptors.outcome import SUCCESS, Outcome, outcome_of
from devteam.mesh.redaction import hidden

_log = structlog.get_logger()

_MINE_ALONE = 0o600


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Lines of JSON in `file`; among the other log lines without one.

    Each line is appended by itself, so the file may be moved away at any time. That takes some microseconds, as a log
    line does, and is done before the call is answered.
    """

    file: Path | None = None
    clock: Clock = field(default_factory=SystemClock)
    proxies: Proxies = field(default_factory=Proxies)

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Tell of the call, if its row says so and it is known who makes it."""
        outcome = SUCCESS
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            outcome = outcome_of(error)
            raise
        finally:
            if _is_audited(call) and call.caller is not None and not _is_known(call, outcome):
                self._tell(self._line(call, call.caller, outcome))

    def _line(self, call: Call, caller: Caller, outcome: Outcome) -> dict[str, object]:
        line = {
            **_who(caller),
            "method": call.method.removeprefix("/"),
            **particulars(call.request, call.response),
            "peer": call.origin(self.proxies),
            "outcome": outcome.code,
            "reason": outcome.error_type,
        }
        return {name: value for name, value in line.items() if value != ""}

    def _tell(self, line: Mapping[str, Any]) -> None:
        if self.file is None:
            _log.info("audited call", **line)
            return
        try:
            append(self.file, json.dumps({"time": self.clock.now().isoformat(), **line}) + "\n")
        except OSError as error:
            _log.error("the audit log cannot be written", file=str(self.file), error=error.strerror, **line)


def append(file: Path, text: str) -> None:
    """Put text at the end of a file, which is made for its owner's eyes if need be. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MINE_ALONE)
    try:
        data = text.encode()
        written = os.write(descriptor, data)
        if written != len(data):
            # What comes next begins a line of its own.
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def _is_audited(call: Call) -> bool:
    rule = RULES.get(call.method)
    if rule is None:
        return False
    return rule.audited or bool(rule.audited_if and getattr(call.request, rule.audited_if, False))


def _is_known(call: Call, outcome: Outcome) -> bool:
    """Whether it is a refusal that was told a moment ago, of those that come as often as somebody likes."""
    return call.quiet and (call.caller is STRANGER or outcome.error_type == RATE_LIMITED)


def _who(caller: Caller) -> dict[str, str]:
    if caller is ANYONE:
        return {"by": "anyone"}
    if caller is STRANGER:
        return {"by": "stranger"}
    return {
        "by": hidden(caller.name) or caller.key_id,
        "by_key": caller.key_id,
        "by_role": caller.role.value,
        "by_tenant": caller.tenant,
    }
