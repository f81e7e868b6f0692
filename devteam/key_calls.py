"""What is asked of a mesh about keys: to make and to end them, to let workers join, and who one is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from devteam import access_wire
from devteam.connection import Connection, listed
from devteam.keys import Identity, JoinToken, Key, NewKey, Role
from devteam.mesh.errors import InvalidInput, Violation
from devteam.v1 import access_pb2


class KeyCalls(ABC):
    """The part of a client that is about who may call.

    On a mesh that asks for no keys, all but `identity` raise FailedPrecondition (KEYS_OFF). What a key may not do
    raises PermissionDenied.
    """

    @property
    @abstractmethod
    def _mesh(self) -> Connection:
        """The line to the mesh."""

    async def create_key(
        self,
        name: str,
        *,
        role: Role | str,
        tenant: str = "",
        queues: Sequence[str] = (),
        worker_id: str = "",
        expires: datetime | timedelta | None = None,
        rate: float = 0.0,
    ) -> NewKey:
        """Make a key, for admins. Its `secret` can be shown to its owner now, and never again.

        It is never worth more than the one that makes it. `expires` is a moment, or a time from now; None: never.
        `rate` is in creates a second, on average; 0: as is set at the services.
        """
        spec = access_pb2.KeySpec(
            name=name,
            role=access_wire.role_to_proto(_role(role)),
            tenant=tenant,
            queues=queues,
            worker_id=worker_id,
            expires_at=_moment(expires),
            rate=rate,
        )
        answer = await self._mesh.call(self._mesh.access.CreateKey, access_pb2.CreateKeyRequest(spec=spec))
        return access_wire.new_key_from_proto(answer)

    async def list_keys(self, *, include_ended: bool = False) -> list[Key]:
        """All keys that the caller may know, in the order that they were made in; also those that have ended."""

        async def page(size: int, token: str) -> tuple[list[Key], str]:
            request = access_pb2.ListKeysRequest(page_size=size, page_token=token, include_ended=include_ended)
            answer = await self._mesh.call(self._mesh.access.ListKeys, request)
            return [access_wire.key_from_proto(key) for key in answer.keys], answer.next_page_token

        return await listed(page)

    async def revoke_key(self, key_id: str) -> Key:
        """End a key at once, with every stream that was opened with it. Again is harmless."""
        request = access_pb2.RevokeKeyRequest(key_id=key_id)
        return access_wire.key_from_proto((await self._mesh.call(self._mesh.access.RevokeKey, request)).key)

    async def create_join_token(
        self,
        *,
        queues: Sequence[str] = (),
        tenant: str = "",
        worker_id: str = "",
        expires: datetime | timedelta | None = None,
    ) -> JoinToken:
        """Let one worker join within ten minutes, or until `expires`, a day from now at most.

        With a `worker_id` it is that worker.
        """
        request = access_pb2.CreateJoinTokenRequest(
            tenant=tenant, queues=queues, worker_id=worker_id, expires_at=_moment(expires)
        )
        return access_wire.join_token_from_proto(await self._mesh.call(self._mesh.access.CreateJoinToken, request))

    async def join_worker(self, token: str, worker_id: str = "") -> NewKey:
        """Turn a join token into a key of a worker's own; an empty id leaves it to the token. Needs no key.

        Whoever loses the answer needs a new token. Raises Unauthenticated (JOIN_TOKEN_INVALID), and AlreadyExists
        (WORKER_ID_BOUND) where a valid key is bound to the id.
        """
        request = access_pb2.JoinWorkerRequest(token=token, worker_id=worker_id)
        answer = await self._mesh.call(self._mesh.access.JoinWorker, request)
        return access_wire.new_key_from_proto(answer)

    async def identity(self) -> Identity:
        """Who this client is, as the mesh sees it."""
        answer = await self._mesh.call(self._mesh.access.GetIdentity, access_pb2.GetIdentityRequest())
        return access_wire.identity_from_proto(answer)


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(each.value for each in Role if each not in {Role.UNKNOWN, Role.SERVICE})
        raise InvalidInput(Violation("role", "UNKNOWN_ENUM", f"{role!r} is none; known are {known}")) from None


def _moment(expires: datetime | timedelta | None) -> Timestamp | None:
    """A moment, or a time from now. Raises InvalidInput for what lies beyond the calendar."""
    if expires is None:
        return None
    message = Timestamp()
    try:
        message.FromDatetime(datetime.now(UTC) + expires if isinstance(expires, timedelta) else expires)
    except OverflowError:
        raise InvalidInput(Violation("expires", "OUT_OF_BOUNDS", "lies beyond the calendar")) from None
    return message
