"""Every name that spans and labels use; docs/tracing.md says what each span is, `metrics.catalog` has the metrics.

RPC names follow the OpenTelemetry semantic conventions for RPC, model names those for generative AI.
"""

SCOPE = "devteam"

RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
RPC_SERVER_DURATION = "rpc.server.call.duration"
ERROR_TYPE = "error.type"

# Spans of ours; the first three are followed by a step, a model or a tool. Calls are named by their method.
SPAN_ATTEMPT = "attempt"
SPAN_RUN = "run"
SPAN_CHAT = "chat"
SPAN_TOOL = "execute_tool"
SPAN_QUEUE_WAIT = "queue wait"
SPAN_CANCEL = "cancel"

# What happens during them.
EVENT_WAITING = "waiting"
EVENT_ADOPTED = "adopted"
EVENT_RESUMED = "resumed"
EVENT_INTERRUPTED = "dispatch interrupted"
EVENT_FIRST_TOKEN = "first_token"  # noqa: S105 - of a model, no secret
EVENT_CANCEL_HEARD = "cancel heard"
EVENT_MODEL_CLOSED = "model closed"
EVENT_ROUTER_TOLD = "router told to cancel"
EVENT_WORKER_TOLD = "worker told to cancel"
EVENT_CANCEL_COMPLETED = "cancel completed"

TASK_ID = "devteam.task.id"
ATTEMPT = "devteam.task.attempt"
PLAN_ID = "devteam.plan.id"
STEP_ID = "devteam.step.id"
# Whose it is. Spans below it are the same tenant's.
TENANT = "devteam.tenant"
WORKER_ID = "devteam.worker.id"
QUEUE = "devteam.queue"
STRATEGY = "devteam.strategy"
PLACEMENT = "devteam.placement.reason"
PLACEMENT_ELIGIBLE = "devteam.placement.eligible"
PLACEMENT_TIED = "devteam.placement.tied"
WAITED = "devteam.queue.waited"
WAIT_REASON = "devteam.wait.reason"
WAIT_DETAIL = "devteam.wait.detail"
ATTEMPT_REASON = "devteam.attempt.reason"
GIVEN_BACK = "devteam.attempt.given_back"
INTERRUPTION = "devteam.interruption"
# Why a span links to another one: "earlier attempt", "same attempt".
LINK = "devteam.link"
OUTCOME = "devteam.outcome"
TOKENS = "devteam.run.tokens"

GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a kind of token that is no secret
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_RESULT = "gen_ai.tool.call.result"
TOOL_SOURCE = "devteam.tool.source"

EXPORT_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# Streams that live for as long as somebody looks, and calls that repeat for ever: a span of them says nothing.
UNTRACED = frozenset(
    {
        "/devteam.v1.WorkerService/Connect",
        "/devteam.v1.RegistryService/WatchWorkers",
        "/devteam.v1.RegistryService/Heartbeat",
        "/devteam.v1.RegistryService/ReportLinks",
        "/devteam.v1.RegistryService/ListWorkers",
        "/devteam.v1.RegistryService/GetRegistryStatus",
        "/devteam.v1.RouterService/AckDispatches",
        "/devteam.v1.RouterService/ShareThrottle",
        "/devteam.v1.RouterService/ListQueues",
        "/devteam.v1.RouterService/GetRouterStatus",
        "/devteam.v1.PlannerService/WatchTask",
        "/devteam.v1.PlannerService/WatchPlan",
        "/devteam.v1.PlannerService/WatchTasks",
        "/devteam.v1.PlannerService/GetPlannerStatus",
        "/devteam.v1.TraceService/GetTrace",
        "/devteam.v1.AccessService/WatchKeys",
        "/devteam.v1.AccessService/GetKeysRevision",
    }
)
# The same, of whole services: health and reflection, those that bring spans, and KEDA, which asks every few seconds.
_UNTRACED_SERVICES = ("/grpc.", "/opentelemetry.", "/externalscaler.")


def is_traced(method: str) -> bool:
    """Whether a call of this method ("/package.Service/Method") is a span."""
    return method not in UNTRACED and not method.startswith(_UNTRACED_SERVICES)
