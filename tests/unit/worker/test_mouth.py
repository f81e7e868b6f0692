"""What the owner's code says, on its way between threads."""

import asyncio
import threading

from devteam_worker.mouth import Mouth, Saying
from devteam_worker.providers.base import Progress, Text

PAGE = Text("x" * 20_000)


async def heard(mouth: Mouth) -> list[Saying]:
    return [saying async for saying in mouth.sayings()]


async def test_what_is_said_is_heard_in_its_order() -> None:
    mouth = Mouth()
    said: list[Saying] = [Text("one"), Progress("half way"), Text("two")]
    assert all(mouth.say(saying).done() for saying in said)
    mouth.shut()
    assert await heard(mouth) == said


async def test_whoever_says_too_much_has_room_once_it_was_taken() -> None:
    mouth = Mouth()
    rooms = [mouth.say(PAGE), mouth.say(Text("more"))]
    assert not any(room.done() for room in rooms)
    sayings = mouth.sayings()
    assert await anext(sayings) == PAGE
    assert all(room.done() for room in rooms)
    assert not mouth.say(PAGE).done()
    await sayings.aclose()


async def test_nobody_who_waits_for_room_can_take_it_from_others() -> None:
    mouth = Mouth()
    rooms = [mouth.say(PAGE), mouth.say(PAGE)]
    assert not rooms[0].cancel()
    mouth.shut()
    assert [room.result() for room in rooms] == [None, None]


async def test_a_mouth_that_is_shut_says_no_more_and_lets_go_of_whoever_waited() -> None:
    mouth = Mouth()
    room = mouth.say(PAGE)
    mouth.shut()
    mouth.shut()
    assert room.done()
    assert mouth.say(PAGE).done()
    assert await heard(mouth) == [PAGE]


async def test_threads_speak_while_somebody_listens() -> None:
    mouth = Mouth()
    words = [Text(f"{number} ") for number in range(5_000)]

    def speak() -> None:
        for word in words:
            mouth.say(word).result()
        mouth.shut()

    thread = threading.Thread(target=speak)
    thread.start()
    async with asyncio.timeout(60):
        assert await heard(mouth) == words
    thread.join()
