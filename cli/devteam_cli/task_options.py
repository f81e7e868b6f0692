"""The options that say what a task is and how it shall run."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

from typing import Annotated, Any

import typer

from devteam.specs import Generation, Placement, Requirements, RunPolicy, Strategy
from devteam_cli import arguments
from devteam_cli.completion import queue_names

Prompt = Annotated[str, typer.Argument(help='What to ask; "-" reads it from stdin.', metavar="PROMPT")]
Model = Annotated[str, typer.Option("--model", "-m", help="opus, sonnet, haiku, ollama:NAME, sim, ...")]
Queue = Annotated[str | None, typer.Option("--queue", "-q", help="The queue to wait in.", autocompletion=queue_names)]
System = Annotated[str, typer.Option("--system", help="The system prompt.")]
Tools = Annotated[list[str], typer.Option("--tool", help="A tool that the model may call; once for each.")]
Priority = Annotated[int, typer.Option(min=0, max=5, help="1 (first) to 5 (last) within the queue; 0: as usual.")]
HowPlaced = Annotated[Strategy | None, typer.Option("--strategy", help="How a worker is picked.")]
Near = Annotated[str, typer.Option("--near", help="A data source to run close to; means --strategy locality.")]
Labels = Annotated[list[str], typer.Option("--label", help="KEY=VALUE that the worker must carry.")]
Gpu = Annotated[bool, typer.Option("--gpu", help="Only on a worker with a GPU.")]
GpuModel = Annotated[str, typer.Option(help="Part of the name of its GPU.")]
Ram = Annotated[float, typer.Option("--min-ram-gb", min=0, help="Memory of its machine, in gigabytes.")]
Cores = Annotated[int, typer.Option("--min-cpu-cores", min=0, help="Cores of its machine.")]
Data = Annotated[list[str], typer.Option("--data-source", help="Data that it must have at hand; once for each.")]
Options = Annotated[list[str], typer.Option("--option", help="KEY=VALUE, passed to the provider as it is.")]
MaxTokens = Annotated[int, typer.Option(min=0, help="Upper bound of the answer; 0: the provider's default.")]
MaxTurns = Annotated[int, typer.Option(min=0, help="How often the model may be asked while it calls tools.")]
Effort = Annotated[str, typer.Option(help="How hard to think: low, medium, high, ...")]
Attempts = Annotated[int, typer.Option("--max-attempts", min=0, help="Give up after so many; 0: as usual.")]
Timeout = Annotated[str | None, typer.Option(help="For one attempt: 90s, 15m, 2h.")]


def placed(
    *,
    queue: Queue = None,
    tool: Tools = [],
    priority: Priority = 0,
    strategy: HowPlaced = None,
    near: Near = "",
    label: Labels = [],
    gpu: Gpu = False,
    gpu_model: GpuModel = "",
    min_ram_gb: Ram = 0.0,
    min_cpu_cores: Cores = 0,
    data_source: Data = [],
) -> dict[str, Any]:
    """What `create_task` and `explain_run` of the client take alike: where a task may run, and how it waits."""
    needs = Requirements(
        gpu=gpu,
        gpu_model=gpu_model,
        min_ram_gb=min_ram_gb,
        min_cpu_cores=min_cpu_cores,
        labels=arguments.pairs("--label", label),
        data_sources=tuple(data_source),
    )
    if near and strategy not in {None, Strategy.LOCALITY}:
        raise typer.BadParameter(f"counts with --strategy locality alone, not with {strategy}", param_hint="--near")
    picked = Strategy.LOCALITY if near else strategy
    placement = Placement(requirements=needs, strategy=picked, priority=priority, near_data_source=near)
    return {"queue": queue, "tools": tool, "placement": placement}


def asked(
    prompt: Prompt,
    *,
    model: Model,
    system: System = "",
    option: Options = [],
    max_tokens: MaxTokens = 0,
    max_turns: MaxTurns = 0,
    effort: Effort = "",
    max_attempts: Attempts = 0,
    timeout: Timeout = None,
) -> dict[str, Any]:
    """All else that `create_task` of the client takes."""
    options = arguments.json_pairs("--option", option)
    limit = arguments.length_of_time(timeout) if timeout else None
    return {
        "prompt": arguments.prompt_or_stdin(prompt),
        "model": model,
        "system_prompt": system,
        "generation": Generation(max_tokens=max_tokens, effort=effort, options=options, max_turns=max_turns),
        "policy": RunPolicy(max_attempts=max_attempts, run_timeout=limit),
    }
