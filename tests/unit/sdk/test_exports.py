"""What `from devteam import ...` offers, and what it costs."""

import subprocess
import sys

import devteam
import devteam.errors
import devteam.testing

PUBLIC = [
    "AttemptStarted",
    "Availability",
    "CancelTrail",
    "Candidate",
    "Completion",
    "Dependency",
    "DependencyState",
    "DevTeamClient",
    "DevTeamError",
    "Erased",
    "Event",
    "Explanation",
    "Failure",
    "FailureReason",
    "Gap",
    "Generation",
    "Identity",
    "Interrupted",
    "JoinToken",
    "Key",
    "LoadBalancing",
    "ModelLimit",
    "NewKey",
    "OnWorkerLoss",
    "Placement",
    "Plan",
    "PlanChanged",
    "PlanState",
    "ProgressToken",
    "QueueInfo",
    "QueuePolicy",
    "Requirements",
    "Role",
    "Routing",
    "RunPolicy",
    "ServiceStatus",
    "Span",
    "SpanEvent",
    "SpanKind",
    "SpanLink",
    "Step",
    "Strategy",
    "Task",
    "TaskChanged",
    "TaskProgress",
    "TaskSpec",
    "TaskState",
    "TasksSeen",
    "TextToken",
    "ThinkingToken",
    "Throttle",
    "Token",
    "Tokens",
    "ToolCall",
    "ToolResult",
    "Trace",
    "Usage",
    "WaitReason",
    "WorkerInfo",
    "WorkerStatus",
    "Workers",
    "WorkersSeen",
]


def test_public_names_are_pinned() -> None:
    """Whoever adds or removes a public name says so here."""
    assert devteam.__all__ == PUBLIC


def test_every_public_name_is_there() -> None:
    """A name in __all__ can be imported, the lazy one too."""
    assert [name for name in PUBLIC if not hasattr(devteam, name)] == []


def test_errors_and_testing_are_pinned() -> None:
    """So are the names of the two public modules beside the package itself."""
    assert devteam.testing.__all__ == ["Answer", "FakeMesh", "Run", "WorkerLost", "echo"]
    assert devteam.errors.__all__ == [
        "Aborted",
        "AlreadyExists",
        "DeadlineExceeded",
        "DevTeamError",
        "FailedPrecondition",
        "Internal",
        "InvalidInput",
        "NotFound",
        "OutOfRange",
        "PermissionDenied",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
        "Violation",
    ]


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy import does not swallow typing mistakes."""
    assert not hasattr(devteam, "DevTeamClinet")


def imported_with(*modules: str) -> set[str]:
    """What stands in sys.modules of a process that imports these and nothing else."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_grpc() -> None:
    """Services import devteam.mesh; the client's gRPC and protobuf come only with the client."""
    assert imported_with("devteam", "devteam.mesh.errors") & {"grpc", "google.protobuf"} == set()


def test_the_client_takes_no_longer_than_it_must() -> None:
    """What only servers use, and what writes logs, is not imported by a program that calls a mesh."""
    found = imported_with("devteam.client")
    assert {"grpc", "google.protobuf"} <= found
    assert {"structlog", "rich", "pydantic", "sqlalchemy", "temporalio", "opentelemetry.sdk"} & found == set()
