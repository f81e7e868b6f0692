"""Who may attach."""

import asyncio
import hashlib
import hmac

from devteam.mesh.errors import NotFound, PermissionDenied
from devteam_router.domain import Worker, WorkerInstance
from devteam_router.fleet import Fleet


class Admission:
    """Admits workers that the Registry vouches for. A worker may be quicker than the Registry's word about it."""

    def __init__(self, fleet: Fleet, patience: float) -> None:
        self._fleet = fleet
        self._patience = patience
        self._news = asyncio.Event()

    def heard(self) -> None:
        """The Registry said something of a worker."""
        self._news.set()

    async def admit(self, worker: WorkerInstance, session_token: str, whose: str = "") -> None:
        """Return once the Registry vouches for this instance, of the tenant `whose`; "": of any.

        Raises NotFound or PermissionDenied.
        """
        try:
            async with asyncio.timeout(self._patience):
                while not self._vouched_for(known := self._fleet.get(worker.worker_id), worker, whose):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise NotFound(
                "worker",
                worker.worker_id,
                reason="WORKER_NOT_REGISTERED",
                message=f"worker {worker.worker_id} is not registered under this instance; register first",
            ) from None
        assert known is not None
        digest = hashlib.sha256(session_token.encode()).hexdigest()
        if not hmac.compare_digest(digest, known.session_digest):
            raise PermissionDenied("the session token is not the one that was issued", reason="SESSION_INVALID")

    def _vouched_for(self, known: Worker | None, worker: WorkerInstance, whose: str) -> bool:
        return known is not None and known.instance == worker and whose in ("", known.tenant)
