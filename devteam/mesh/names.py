"""Every name that telemetry uses, in one place.

RPC names follow the OpenTelemetry semantic conventions for RPC, model names those for generative AI.
"""

SCOPE = "devteam"

RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
RPC_SERVER_DURATION = "rpc.server.call.duration"
ERROR_TYPE = "error.type"

SPAN_QUEUE_WAIT = "queue wait"

TASK_ID = "devteam.task.id"
ATTEMPT = "devteam.task.attempt"
PLAN_ID = "devteam.plan.id"
STEP_ID = "devteam.step.id"
WORKER_ID = "devteam.worker.id"
QUEUE = "devteam.queue"
STRATEGY = "devteam.strategy"
PLACEMENT = "devteam.placement.reason"
WAIT_REASON = "devteam.wait.reason"
WAIT_DETAIL = "devteam.wait.detail"
ATTEMPT_REASON = "devteam.attempt.reason"
# Why a span links to another one: "earlier attempt", "same attempt".
LINK = "devteam.link"
OUTCOME = "devteam.outcome"
FENCED_WRITES = "devteam.fenced.writes"
FENCED_WHAT = "what"

GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_SOURCE = "devteam.tool.source"

EXPORT_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# Streams that live as long as a process, and calls that repeat for ever: a span of them says nothing.
UNTRACED = frozenset(
    {
        "/devteam.v1.WorkerService/Connect",
        "/devteam.v1.RegistryService/WatchWorkers",
        "/devteam.v1.RegistryService/Heartbeat",
        "/devteam.v1.RegistryService/ReportLinks",
        "/devteam.v1.RouterService/AckDispatches",
        "/externalscaler.ExternalScaler/IsActive",
        "/externalscaler.ExternalScaler/StreamIsActive",
        "/externalscaler.ExternalScaler/GetMetricSpec",
        "/externalscaler.ExternalScaler/StreamMetricSpec",
        "/externalscaler.ExternalScaler/GetMetrics",
        # To send spans, or to look at them, must not make more of them.
        EXPORT_SPANS,
        "/devteam.v1.TraceService/GetTrace",
    }
)
