"""A folder of documents as tools: NAME.search, NAME.read, NAME.list."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import structlog

from devteam.mesh.clock import Clock
from devteam_worker.documents.answers import excerpt, found, listing
from devteam_worker.documents.folder import Reason
from devteam_worker.documents.index import Changes, DocumentIndex
from devteam_worker.tools.arguments import text, whole
from devteam_worker.tools.base import Carry, Tool, ToolError

_log = structlog.get_logger()

# Seconds: between two looks at the folder, if anybody asks; and how long a start and a question wait for a look.
_LOOK_EVERY = 10.0
_START_PATIENCE, _QUESTION_PATIENCE = 5.0, 2.0
# Seconds for a look to end that is told to: it does so after the document at hand, unless the disk hangs.
_PARTING = 10.0

_HITS, _MOST_HITS = 5, 20
_LINES, _MOST_LINES = 200, 2000
_MOST_SKIPPED = 1_000_000_000
_NAMES = 200

# Told by name, since their owner probably counts on them.
_MISSED = frozenset({Reason.TOO_LARGE, Reason.TANGLED, Reason.UNREADABLE})


class DocumentSource:
    """The documents below `root`, indexed in a file in `cache`.

    It looks at the folder when it opens, and then when somebody asks. A look that takes longer than people would wait
    goes on meanwhile; answers say so.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        cache: Path,
        clock: Clock,
        *,
        start_patience: float = _START_PATIENCE,
        question_patience: float = _QUESTION_PATIENCE,
        parting: float = _PARTING,
    ) -> None:
        self.name = f"documents:{name}"
        self._group = name
        self._index = DocumentIndex(root, cache / _file_name(root))
        self._clock = clock
        self._start_patience, self._question_patience = start_patience, question_patience
        self._parting = parting
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")
        self._stopped = threading.Event()
        self._told: set[str] = set()

    async def open(self) -> Sequence[Tool]:
        """Look for the first time. Raises ToolError when there is no such folder, or its index cannot be kept."""
        self._looking = asyncio.create_task(asyncio.to_thread(self._index.open))
        await asyncio.shield(self._looking)
        await self._look(self._start_patience)
        return (
            self._tool("search", f"Find passages in the documents of {self._group} by words.", _SEARCH, self._search),
            self._tool("read", f"Read a document of {self._group}, or a part of it.", _READ, self._read),
            self._tool("list", f"List the documents of {self._group}.", _LIST, self._list),
        )

    async def close(self) -> None:
        """End what it does, and let go of the index. Takes seconds where the disk hangs, never for ever."""
        self._stopped.set()
        if self._looking is not None:
            _, still = await asyncio.wait([self._looking], timeout=self._parting)
            if still:
                # Its thread has the index in hand, and nobody can take that away.
                _log.warning("documents are still being read", source=self.name)
                self._looking.cancel()
                return
        await asyncio.to_thread(self._index.close)

    async def _search(self, arguments: Mapping[str, object]) -> str:
        query = text(arguments, "query")
        limit = whole(arguments, "limit", _HITS, most=_MOST_HITS)
        await self._look(self._question_patience)
        hits = await asyncio.to_thread(self._index.search, query, limit)
        documents = 0 if hits else await asyncio.to_thread(self._index.count)
        return found(self._group, hits, documents) + self._unfinished()

    async def _read(self, arguments: Mapping[str, object]) -> str:
        document = text(arguments, "document")
        offset = whole(arguments, "offset", 1, most=_MOST_SKIPPED)
        lines = whole(arguments, "lines", _LINES, most=_MOST_LINES)
        await self._look(self._question_patience)
        read = await asyncio.to_thread(self._index.text, document)
        if read is None:
            raise ToolError(f"document: {document[:200]!r} is none of {self._group}; search, or list them.")
        return excerpt(self._group, *read, offset, lines)

    async def _list(self, arguments: Mapping[str, object]) -> str:
        under = text(arguments, "under", "")
        skip = whole(arguments, "skip", 0, least=0, most=_MOST_SKIPPED)
        await self._look(self._question_patience)
        files = await asyncio.to_thread(self._index.names, under, skip, _NAMES + 1)
        return listing(self._group, files[:_NAMES], skip, more=len(files) > _NAMES) + self._unfinished()

    async def _look(self, patience: float) -> None:
        """Have the index as fresh as can be had within `patience` seconds."""
        looking = self._looking
        if looking is None or (looking.done() and self._clock.monotonic() - self._looked_at >= _LOOK_EVERY):
            looking = self._looking = asyncio.create_task(self._refresh())
        await asyncio.wait([looking], timeout=patience)

    async def _refresh(self) -> None:
        try:
            changes = await asyncio.to_thread(self._index.refresh, self._stopped.is_set)
        except Exception as error:  # noqa: BLE001 - whatever a folder does to its reader, its index is as it was
            _log.warning("documents not looked at", source=self.name, why=f"{type(error).__name__}: {error}")
        else:
            self._tell(changes)
        finally:
            self._looked_at = self._clock.monotonic()

    def _tell(self, changes: Changes) -> None:
        left_out = {path: reason for path, reason in changes.left_out.items() if path not in self._told}
        self._told |= left_out.keys()
        for path, reason in left_out.items():
            if reason in _MISSED:
                _log.warning("document left out", source=self.name, document=path, why=str(reason))
        if changes.full and "" not in self._told:
            self._told.add("")
            _log.warning("documents left out: the folder holds too many", source=self.name, taken=changes.taken)
        if changes.read or changes.gone or left_out:
            counts = dict(Counter(map(str, left_out.values())))
            _log.info("documents read", source=self.name, read=changes.read, gone=changes.gone, left_out=counts)

    def _unfinished(self) -> str:
        """What to add to an answer out of an index that is not complete yet."""
        if self._looking is None or self._looking.done():
            return ""
        return f"\n\n[{self._group} is still being read; there may be more soon]"

    def _tool(self, name: str, description: str, properties: Mapping[str, object], carry_out: Carry) -> Tool:
        # What has no default is required.
        required = [key for key, value in properties.items() if isinstance(value, dict) and "default" not in value]
        parameters = {"type": "object", "properties": properties, "required": required}
        return Tool(f"{self._group}.{name}", description, parameters, self.name, carry_out)


_SEARCH = {
    "query": {"type": "string", "description": "Words to look for; passages with all of them come first."},
    "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_HITS, "default": _HITS},
}
_READ = {
    "document": {"type": "string", "description": "Its path, as search and list name it."},
    "offset": {"type": "integer", "description": "The line to begin with.", "minimum": 1, "default": 1},
    "lines": {"type": "integer", "minimum": 1, "maximum": _MOST_LINES, "default": _LINES},
}
_LIST = {
    "under": {"type": "string", "description": "What their paths begin with, e.g. a folder.", "default": ""},
    "skip": {"type": "integer", "minimum": 0, "default": 0},
}


def _file_name(root: Path) -> str:
    """The same for everybody who reads that folder."""
    return f"{sha256(os.fsencode(root.absolute())).hexdigest()[:32]}.sqlite"
