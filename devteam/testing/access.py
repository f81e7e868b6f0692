"""The keys of a fake mesh, and who judges callers by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from devteam.mesh.access.caller import ANYONE, Caller, Role, current_caller
from devteam.mesh.access.key import digest_of, mint
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.rules import RULES
from devteam.mesh.access.wire import ROLES, identity_to_proto, record_from_proto
from devteam.mesh.errors import FailedPrecondition, NotFound, PermissionDenied, Unauthenticated
from devteam.mesh.interceptors.call import Call
from devteam.mesh.validation import Violations
from devteam.testing.refusals import refused, refused_stream
from devteam.v1 import access_pb2 as pb
from devteam.v1 import access_pb2_grpc

_Context = Any
_KINDS = {ROLES[role]: role.value[0] for role in (Role.CLIENT, Role.WORKER, Role.OPERATOR, Role.ADMIN)}
_TOKENS_LAST = timedelta(minutes=10)


class FakeAuthorizer:
    """Lets each role make its calls; without a keyring everyone makes every call."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring

    async def authorize(self, call: Call) -> Caller:
        """Who calls. Raises Unauthenticated and PermissionDenied as a real mesh does."""
        rule, shown = RULES.get(call.method), call.metadata.get("authorization", "").removeprefix("Bearer ")
        if self._keyring is None or (rule and rule.open):
            return ANYONE
        if not shown:
            raise Unauthenticated("this mesh asks for a key; give one")
        caller = self._keyring.identify(shown)
        if rule is None or caller.role not in rule.roles:
            raise PermissionDenied(f"the role {caller.role.value} may not call this", reason="ROLE_NOT_ALLOWED")
        return caller


class FakeAccess(access_pb2_grpc.AccessServiceServicer):
    """Makes keys, lets workers join, and forgets all of it when it goes. Without a keyring: a mesh without keys."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring
        if keyring is not None:
            keyring.replace([])
        self._keys: dict[str, pb.Key] = {}
        self._tokens: dict[bytes, pb.CreateJoinTokenRequest] = {}

    async def CreateKey(self, request: pb.CreateKeyRequest, context: _Context) -> pb.CreateKeyResponse:
        """Make a key."""
        found = Violations()
        with found.at("spec"):
            found.text("name", request.spec.name, limit=512, required=True)
            found.enum("role", request.spec.role, list(_KINDS))
            found.name("tenant", request.spec.tenant, limit=64, required=request.spec.role == pb.ROLE_CLIENT)
        self._refuse_without_keys()
        found.raise_if_any()
        key, secret = self._made(request.spec)
        return pb.CreateKeyResponse(key=key, secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, context: _Context) -> pb.ListKeysResponse:
        """All keys; on one page."""
        self._refuse_without_keys()
        keys = [key for key in self._keys.values() if request.include_ended or not key.HasField("revoked_at")]
        return pb.ListKeysResponse(keys=[key for key in keys if current_caller().sees(key.spec.tenant)])

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: _Context) -> pb.RevokeKeyResponse:
        """End a key."""
        keyring, key = self._refuse_without_keys(), self._keys.get(request.key_id)
        if key is None:
            raise NotFound("key", request.key_id)
        if not key.HasField("revoked_at"):
            key.revoked_at.GetCurrentTime()
            self._tell(keyring, key, b"")
        return pb.RevokeKeyResponse(key=key)

    async def CreateJoinToken(
        self, request: pb.CreateJoinTokenRequest, context: _Context
    ) -> pb.CreateJoinTokenResponse:
        """Make a join token."""
        self._refuse_without_keys()
        minted = mint("j")
        self._tokens[minted.digest] = request
        if not request.HasField("expires_at"):
            request.expires_at.FromDatetime(datetime.now(UTC) + _TOKENS_LAST)
        return pb.CreateJoinTokenResponse(token=minted.secret, expires_at=request.expires_at)

    async def JoinWorker(self, request: pb.JoinWorkerRequest, context: _Context) -> pb.JoinWorkerResponse:
        """Turn a join token into a key."""
        self._refuse_without_keys()
        token = self._tokens.pop(digest_of(request.token), None)
        if token is None:
            raise Unauthenticated("the join token is not valid; ask for a new one", reason="JOIN_TOKEN_INVALID")
        worker_id = token.worker_id or request.worker_id
        spec = pb.KeySpec(
            name=worker_id, role=pb.ROLE_WORKER, tenant=token.tenant, queues=token.queues, worker_id=worker_id
        )
        key, secret = self._made(spec)
        return pb.JoinWorkerResponse(key=key, secret=secret)

    async def GetIdentity(self, request: pb.GetIdentityRequest, context: _Context) -> pb.GetIdentityResponse:
        """Who the caller is."""
        return identity_to_proto(current_caller(), keys_on=self._keyring is not None)

    WatchKeys = refused_stream
    GetKeysRevision = refused

    def _made(self, spec: pb.KeySpec) -> tuple[pb.Key, str]:
        keyring, minted = self._refuse_without_keys(), mint(_KINDS[spec.role])
        key = pb.Key(key_id=minted.key_id, spec=spec, created_by=current_caller().key_id)
        key.created_at.GetCurrentTime()
        self._keys[key.key_id] = key
        self._tell(keyring, key, minted.digest)
        return key, minted.secret

    def _tell(self, keyring: Keyring, key: pb.Key, digest: bytes) -> None:
        if (record := record_from_proto(pb.KeyRecord(key=key, digest=digest))) is not None:
            keyring.put(record)

    def _refuse_without_keys(self) -> Keyring:
        if self._keyring is None:
            raise FailedPrecondition("this mesh asks for no keys", reason="KEYS_OFF")
        return self._keyring
