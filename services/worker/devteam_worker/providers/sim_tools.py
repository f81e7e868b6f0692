"""How the simulated model uses tools: it calls what it understands, and quotes what that brings."""

import json
from collections.abc import Iterator, Mapping

from devteam_worker.providers.base import Prompt, ToolCall, ToolSpec

# Characters of the prompt that it asks tools about, and words of each answer that it quotes.
_ASKED = 200
_QUOTED = 40


def calls_for(prompt: Prompt) -> Iterator[ToolCall]:
    """A call of each offered tool that wants nothing but text: it is asked about the prompt's last line."""
    lines = prompt.prompt.strip().splitlines()
    question = lines[-1][:_ASKED] if lines else ""
    for number, tool in enumerate(prompt.offered, start=1):
        wanted = _texts(tool)
        if wanted:
            arguments = json.dumps(dict.fromkeys(wanted, question), ensure_ascii=False)
            yield ToolCall(f"call-{len(prompt.turns) + 1}-{number}", tool.name, arguments)


def quotes(prompt: Prompt) -> Iterator[str]:
    """What tools brought, word by word, each answer with where it comes from."""
    for result in (result for turn in prompt.turns for result in turn.results if not result.is_error):
        found = result.content.split()
        yield from (f"{word} " for word in [f"[{result.source}]", *found[:_QUOTED]])
        yield "\n\n"


def _texts(tool: ToolSpec) -> list[str]:
    """The parameters that a call needs, if all of them are texts."""
    required, properties = tool.parameters.get("required"), tool.parameters.get("properties")
    if not isinstance(required, list) or not isinstance(properties, Mapping):
        return []
    kinds = [properties.get(name) for name in required]
    are_texts = all(isinstance(kind, Mapping) and kind.get("type") == "string" for kind in kinds)
    return [str(name) for name in required] if are_texts else []
