"""The prompts of an attempt: templates with inputs and outputs put in."""

from collections.abc import Callable, Mapping

from devteam_planner import templates
from devteam_planner.domain import MAX_PROMPT_BYTES, Plan, TaskSpec


class PromptTooLarge(Exception):
    """What was put into a prompt made it larger than a prompt may be."""


def sources(plan: Plan, spec: TaskSpec) -> list[str]:
    """The steps whose outputs the prompts need. A task of its own is taken literally and needs none."""
    if plan.sole:
        return []
    return list(dict.fromkeys([*templates.references(spec.prompt), *templates.references(spec.system_prompt)]))


def rendered(plan: Plan, spec: TaskSpec, outputs: Mapping[str, str]) -> tuple[str, str]:
    """Prompt and system prompt; the same for every attempt. Raises PromptTooLarge."""
    if plan.sole:
        return spec.prompt, spec.system_prompt
    return _filled(spec.prompt, plan.input, outputs), _filled(spec.system_prompt, plan.input, outputs)


def _filled(text: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    spent = 0

    def spend(value: str) -> None:
        # While it is filled, not after: a small template can ask for gigabytes.
        nonlocal spent
        spent += len(value.encode())
        if spent > MAX_PROMPT_BYTES:
            raise PromptTooLarge

    filled = templates.render(text, _Metered(inputs, spend), _Metered(outputs, spend))
    if len(filled.encode()) > MAX_PROMPT_BYTES:
        raise PromptTooLarge
    return filled


class _Metered(dict[str, str]):
    """A mapping that reports every value it gives out."""

    def __init__(self, values: Mapping[str, str], report: Callable[[str], None]) -> None:
        super().__init__(values)
        self._report = report

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        self._report(value)
        return value
