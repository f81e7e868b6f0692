"""What `from devteam import ...` offers, and what it costs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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


def test_every_public_name_is_what_type_checkers_take_it_for() -> None:
    """Names are imported when they are looked up; what stands there for type checkers is never run, but here."""
    told = {
        alias.name: getattr(import_module(str(node.module)), alias.name)
        for node in ast.walk(ast.parse(Path(devteam.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("devteam.")
        for alias in node.names
    }
    assert {name: getattr(devteam, name) for name in PUBLIC} == told
    assert dir(devteam) == PUBLIC


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
    """Services import devteam.mesh; gRPC and protobuf come only with the client, and models with their names."""
    found = imported_with("devteam", "devteam.mesh.errors")
    assert {"devteam.client", "devteam.events", "devteam.models", "grpc", "google.protobuf"} & found == set()
    assert "devteam.errors" in found, "whoever imports the package may say devteam.errors"


def test_the_client_takes_no_longer_than_it_must() -> None:
    """What only servers use, and what writes logs, is not imported by a program that calls a mesh."""
    found = imported_with("devteam.client")
    assert {"grpc", "google.protobuf"} <= found
    assert {"structlog", "rich", "pydantic", "sqlalchemy", "temporalio", "opentelemetry.sdk"} & found == set()
