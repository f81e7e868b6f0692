"""What is remembered of whom, for as long as there is room."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Who = TypeVar("_Who", bound=Hashable)
_What = TypeVar("_What")

# Keys and addresses, each. An attacker who has more of them than that is nobody to reason with.
MOST = 10_000


class Recent(Generic[_Who, _What]):
    """One thing of each of `most`; whoever was asked for longest ago is forgotten first."""

    def __init__(self, make: Callable[[], _What], most: int = MOST) -> None:
        self._make = make
        self._most = most
        self._kept: OrderedDict[_Who, _What] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, who: _Who) -> _What:
        """What is remembered of `who`; what was never heard of is made."""
        if who in self._kept:
            self._kept.move_to_end(who)
            return self._kept[who]
        if len(self._kept) >= self._most:
            self._kept.popitem(last=False)
        what = self._kept[who] = self._make()
        return what
