"""Who may attach."""

import asyncio
import hashlib
import hmac

from devteam.mesh.errors import NotFound, PermissionDenied
from devteam_router.domain import WorkerInstance
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

    async def admit(self, worker: WorkerInstance, session_token: str) -> None:
        """Return once the Registry vouches for this instance. Raises NotFound or PermissionDenied."""
        try:
            async with asyncio.timeout(self._patience):
                while (known := self._fleet.get(worker.worker_id)) is None or known.instance != worker:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise NotFound(
                "worker",
                worker.worker_id,
                reason="WORKER_NOT_REGISTERED",
                message=f"worker {worker.worker_id} is not registered under this instance; register first",
            ) from None
        digest = hashlib.sha256(session_token.encode()).hexdigest()
        if not hmac.compare_digest(digest, known.session_digest):
            raise PermissionDenied("the session token is not the one that was issued", reason="SESSION_INVALID")
