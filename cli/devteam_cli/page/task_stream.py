"""One task as it is answered, for one viewer."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from devteam.errors import DevTeamError
from devteam.events import AttemptStarted, Event, Gap, Interrupted, TaskChanged, TextToken, ThinkingToken, Token, Tokens
from devteam_cli.failures import advice_on
from devteam_cli.output import members, plain
from devteam_cli.page.answers import told
from devteam_cli.page.sse import message


async def task_messages(first: Event, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    """Its events, of which the first has come, and at last "end"; "failed" when it cannot be watched any more.

    A browser that has heard no "end" connects again, and begins anew.
    """
    async with aclosing(events):
        yield message("begin", {})
        try:
            if (sent := _event_message(first)) is not None:
                yield sent
            async for event in events:
                if (sent := _event_message(event)) is not None:
                    yield sent
        except DevTeamError as error:
            yield message("failed", told(error.message, advice_on(error)))
            return
    yield message("end", {})


def _event_message(event: Event) -> bytes | None:
    match event:
        case TaskChanged():
            return message("task", plain(event.task))
        case AttemptStarted():
            return message("attempt", members(event))
        case Tokens():
            return message("tokens", {"attempt": event.attempt, "tokens": plain(joined(event.tokens))})
        case Gap():
            return message("gap", members(event))
        case Interrupted():
            return message("interrupted", members(event))
    return None


def joined(tokens: Iterable[Token]) -> list[Token]:
    """Tokens, with text that follows text put together: a screen sees no difference."""
    together: list[Token] = []
    for token in tokens:
        last = together[-1] if together else None
        if isinstance(token, TextToken) and isinstance(last, TextToken):
            together[-1] = TextToken(last.text + token.text)
        elif isinstance(token, ThinkingToken) and isinstance(last, ThinkingToken):
            together[-1] = ThinkingToken(last.text + token.text)
        else:
            together.append(token)
    return together
