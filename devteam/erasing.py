"""Forgetting what a tenant asked and was answered."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing

from devteam.connection import Connection
from devteam.models import Erased
from devteam.v1 import planner_pb2


class EraserCalls(ABC):
    """The part of a client that forgets."""

    @property
    @abstractmethod
    def _mesh(self) -> Connection:
        """The line to the mesh."""

    async def erase_tenant(self, tenant: str) -> AsyncGenerator[Erased, None]:
        """Erase all plans and tasks that a tenant had created when this was called, and tell how far it is.

        What has not ended is cancelled first. The last item is `done`. When the line breaks before that, Unavailable is
        raised; calling again goes on where it was. Raises InvalidInput for no tenant's name, PermissionDenied for
        another's tenant than the key is bound to, Unavailable.
        """
        request = planner_pb2.EraseTenantRequest(tenant=tenant)
        async with aclosing(self._mesh.responses(self._mesh.planner.EraseTenant(request))) as responses:
            async for response in responses:
                yield Erased(
                    plans=response.plans,
                    tasks=response.tasks,
                    waiting_for=response.waiting_for,
                    done=response.done,
                )
