"""Lists that come in pages."""

from devteam.connection import listed


class Shelf:
    """Numbers from 0, handed out in pages; the token is the next number."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.sizes: list[int] = []

    async def fetch(self, size: int, token: str) -> tuple[list[int], str]:
        self.sizes.append(size)
        start = int(token or 0)
        end = min(start + size, self._count)
        return list(range(start, end)), str(end) if end < self._count else ""


async def test_all_pages_are_fetched() -> None:
    """Without a limit, until there are no more."""
    shelf = Shelf(1200)
    assert await listed(shelf.fetch) == list(range(1200))
    assert shelf.sizes == [500, 500, 500]


async def test_a_limit_ends_the_fetching() -> None:
    """No page is larger than what is still wanted."""
    shelf = Shelf(1200)
    assert await listed(shelf.fetch, 700) == list(range(700))
    assert shelf.sizes == [500, 200]


async def test_a_limit_of_none_at_all_asks_nobody() -> None:
    shelf = Shelf(3)
    assert await listed(shelf.fetch, 0) == []
    assert shelf.sizes == []
