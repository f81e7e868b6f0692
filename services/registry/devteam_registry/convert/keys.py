"""Keys and join tokens: from the wire to the domain, where all that is wrong is reported together, and back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.wire import ROLES, ROLES_BY_NUMBER
from devteam.mesh.paging import page_size, page_start, page_token
from devteam.mesh.validation import Violations
from devteam.v1 import access_pb2 as pb
from devteam_registry.convert.checks import MAX_WORD
from devteam_registry.keys.domain import JoinSpec, Key, KeyChange, KeyPage, KeyQuery, KeySnapshot, KeySpec, Made

_LONGEST_NAME = 128
_LONGEST_TENANT = 64
_MOST_QUEUES = 100
_MOST_RATE = 10_000
_LONGEST_TOKEN = timedelta(days=1)
_USUAL_TOKEN = timedelta(minutes=10)


def key_spec_from_proto(request: pb.CreateKeyRequest, maker: Caller, now: datetime) -> KeySpec:
    """What a key shall be good for; an empty tenant is the maker's. Raises InvalidInput."""
    found, spec = Violations(), request.spec
    role, tenant = ROLES_BY_NUMBER.get(spec.role), spec.tenant or maker.tenant
    with found.at("spec"):
        _check_name(found, spec.name)
        _check_role(found, spec.role)
        found.name("tenant", tenant, limit=_LONGEST_TENANT, required=role is Role.CLIENT)
        _check_queues(found, spec.queues)
        found.name("worker_id", spec.worker_id, required=False)
        if spec.worker_id and role not in (Role.WORKER, None):
            found.add("worker_id", "WORKER_ID_WITHOUT_ROLE", "goes only with the role of a worker")
        expires_at = _future(found, spec, now)
        found.between("rate", spec.rate, 0, _MOST_RATE)
    found.raise_if_any()
    return KeySpec(
        name=spec.name,
        role=ROLES_BY_NUMBER[spec.role],
        tenant=tenant,
        queues=_distinct(spec.queues),
        worker_id=spec.worker_id,
        expires_at=expires_at,
        rate=spec.rate,
    )


def join_spec_from_proto(request: pb.CreateJoinTokenRequest, now: datetime) -> JoinSpec:
    """What a worker may be that joins. Raises InvalidInput."""
    found = Violations()
    found.name("tenant", request.tenant, limit=_LONGEST_TENANT, required=False)
    _check_queues(found, request.queues)
    found.name("worker_id", request.worker_id, required=False)
    expires_at = _future(found, request, now)
    if expires_at is not None and expires_at > now + _LONGEST_TOKEN:
        found.add("expires_at", "OUT_OF_BOUNDS", "must be at most a day from now")
    found.raise_if_any()
    return JoinSpec(
        tenant=request.tenant,
        queues=_distinct(request.queues),
        worker_id=request.worker_id,
        expires_at=expires_at or now + _USUAL_TOKEN,
    )


def joiner_from_proto(request: pb.JoinWorkerRequest) -> tuple[str, str]:
    """The token, and the id that the worker wants. Raises InvalidInput."""
    found = Violations()
    found.text("token", request.token, limit=MAX_WORD, required=True)
    found.name("worker_id", request.worker_id, required=False)
    found.raise_if_any()
    return request.token, request.worker_id


def key_id_from_proto(request: pb.RevokeKeyRequest) -> str:
    """The key to revoke. Raises InvalidInput."""
    found = Violations()
    found.name("key_id", request.key_id)
    found.raise_if_any()
    return request.key_id


def query_from_proto(request: pb.ListKeysRequest) -> KeyQuery:
    """The page asked for. Raises InvalidInput."""
    return KeyQuery(
        after=page_start(request.page_token),
        size=page_size(request.page_size, default=100, limit=1_000),
        include_ended=request.include_ended,
    )


def created_to_proto(made: Made) -> pb.CreateKeyResponse:
    """A new key."""
    return pb.CreateKeyResponse(key=key_to_proto(made.key), secret=made.secret)


def joined_to_proto(made: Made) -> pb.JoinWorkerResponse:
    """A worker's own key."""
    return pb.JoinWorkerResponse(key=key_to_proto(made.key), secret=made.secret)


def token_to_proto(token: str, spec: JoinSpec) -> pb.CreateJoinTokenResponse:
    """A new join token."""
    return pb.CreateJoinTokenResponse(token=token, expires_at=_timestamp(spec.expires_at))


def page_to_proto(page: KeyPage) -> pb.ListKeysResponse:
    """A page of the list."""
    last = page.keys[-1].key_id if page.more else ""
    return pb.ListKeysResponse(keys=[key_to_proto(key) for key in page.keys], next_page_token=page_token(last))


def event_to_proto(event: KeySnapshot | KeyChange) -> pb.WatchKeysResponse:
    """What services are told."""
    if isinstance(event, KeyChange):
        return pb.WatchKeysResponse(changed=_record_to_proto(event.key), revision=event.revision)
    records = [_record_to_proto(key) for key in event.keys]
    return pb.WatchKeysResponse(snapshot=pb.WatchKeysResponse.Snapshot(records=records), revision=event.revision)


def key_to_proto(key: Key) -> pb.Key:
    """A key, without what opens anything."""
    return pb.Key(
        key_id=key.key_id,
        spec=_spec_to_proto(key.spec),
        created_at=_timestamp(key.created_at),
        created_by=key.created_by,
        revoked_at=_timestamp(key.revoked_at),
        last_used_at=_timestamp(key.last_used_at),
    )


def _record_to_proto(key: Key) -> pb.KeyRecord:
    """Only what callers are judged by: tens of thousands of keys have to fit into one message."""
    judged = pb.Key(key_id=key.key_id, spec=_spec_to_proto(key.spec), revoked_at=_timestamp(key.revoked_at))
    return pb.KeyRecord(key=judged, digest=key.digest)


def _spec_to_proto(spec: KeySpec) -> pb.KeySpec:
    return pb.KeySpec(
        name=spec.name,
        role=ROLES[spec.role],
        tenant=spec.tenant,
        queues=spec.queues,
        worker_id=spec.worker_id,
        expires_at=_timestamp(spec.expires_at),
        rate=spec.rate,
    )


def _check_name(found: Violations, name: str) -> None:
    found.text("name", name, limit=4 * _LONGEST_NAME, required=True)
    if len(name) > _LONGEST_NAME:
        found.add("name", "TEXT_TOO_LARGE", f"has {len(name)} characters; at most {_LONGEST_NAME} are allowed")


def _check_role(found: Violations, role: int) -> None:
    if not role:
        found.add("role", "FIELD_REQUIRED", "must be CLIENT, WORKER, OPERATOR or ADMIN")
    elif role == pb.ROLE_SERVICE:
        found.add("role", "ROLE_NOT_ALLOWED", "must not be SERVICE: services show the mesh key, or a certificate")
    else:
        found.enum("role", role, list(ROLES_BY_NUMBER))


def _check_queues(found: Violations, queues: Sequence[str]) -> None:
    found.count("queues", len(queues), _MOST_QUEUES)
    for index, queue in enumerate(queues[:_MOST_QUEUES]):
        found.name(f"queues[{index}]", queue)


def _distinct(queues: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(queues))


def _future(found: Violations, message: pb.KeySpec | pb.CreateJoinTokenRequest, now: datetime) -> datetime | None:
    """The moment in `expires_at`; None when it is unset, or noted as wrong."""
    if not message.HasField("expires_at"):
        return None
    try:
        moment = message.expires_at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        found.add("expires_at", "OUT_OF_BOUNDS", "is no moment of this calendar")
        return None
    if moment <= now:
        found.add("expires_at", "OUT_OF_BOUNDS", "must be in the future")
        return None
    return moment


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
