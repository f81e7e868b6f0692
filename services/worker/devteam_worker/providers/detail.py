"""What of a provider's own error text may be shown to the owner of a task."""

from collections.abc import Sequence

from devteam_worker.providers.base import Prompt

_LONGEST = 300
_WINDOW = 32


def public_detail(text: object, *, secrets: Sequence[str], body: Sequence[str]) -> str:
    """The text in one line, or nothing when it is long, names a secret or quotes what was sent.

    Quotes are looked for in windows, so that whatever repeats 48 characters of the body in a row is found.
    """
    line = " ".join(text.split()).rstrip(".") if isinstance(text, str) else ""
    if not line.isprintable() or len(line) > _LONGEST or any(secret in line for secret in secrets if secret):
        return ""
    return "" if any(_quotes(line, part) for part in body) else line


def texts_of(prompt: Prompt) -> list[str]:
    """All that a provider is sent that an error text could quote."""
    results = [result.content for turn in prompt.turns for result in turn.results]
    return [prompt.prompt, prompt.system_prompt, *results]


def _quotes(line: str, part: str) -> bool:
    sent = " ".join(part.split())
    starts = range(0, len(line) - _WINDOW + 1, _WINDOW // 2)
    return any(line[start : start + _WINDOW] in sent for start in starts)
