"""Measures the index of a folder of documents, without a network: `python -m benchmarks.documents [how many]`."""

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

from devteam_worker.documents.index import DocumentIndex
from devteam_worker.documents.query import FILLERS

from benchmarks.figures import Timings, tell

_BYTES = 10_000
_QUERIES = 500
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Language:
    """Words by Zipf's law; with `fillers`, English ones are the commonest, and a search leaves them out."""

    def __init__(self, *, fillers: bool) -> None:
        self._dice = random.Random(1)
        made = ["".join(self._dice.choices(_LETTERS, k=self._dice.randint(3, 10))) for _ in range(30_000)]
        self._words = [*(sorted(FILLERS) if fillers else ()), *made]
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._words) + 1)))

    def says(self, words: int) -> str:
        """So many words."""
        return " ".join(self._dice.choices(self._words, cum_weights=self._weights, k=words))

    def document(self) -> str:
        """A title and paragraphs."""
        return "\n\n".join([f"# {self.says(3)}", *self._paragraphs()])

    def short(self) -> str:
        """What a model would look for."""
        return self.says(self._dice.randint(1, 5))

    def _paragraphs(self) -> Iterator[str]:
        size = 0
        while size < _BYTES:
            paragraph = self.says(self._dice.randint(40, 120))
            size += len(paragraph)
            yield paragraph


def main() -> None:
    """Measure in both languages."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for name, language in (("like English", Language(fillers=True)), ("unknown", Language(fillers=False))):
        with tempfile.TemporaryDirectory() as folder:
            _measure(name, language, Path(folder), documents)
    tell("documents: memory of the process, MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def _measure(name: str, language: Language, folder: Path, documents: int) -> None:
    what = f"{documents} documents, words {name}"
    root, file = folder / "docs", folder / "index.sqlite"
    root.mkdir()
    for number in range(documents):
        (root / f"{number}.md").write_text(language.document(), encoding="utf-8")
    tell(f"{what}: text, MB", sum(path.stat().st_size for path in root.iterdir()) / 1e6)
    index = DocumentIndex(root, file)
    index.open()
    tell(f"{what}: first look, s", _seconds(index.refresh))
    tell(f"{what}: index, MB", sum(path.stat().st_size for path in folder.glob("index.sqlite*")) / 1e6)
    tell(f"{what}: a look that finds nothing new, s", _seconds(index.refresh))
    _searches(index, language.short).tell(f"{what}: search of 1 to 5 words")
    _searches(index, lambda: language.says(40)).tell(f"{what}: search of a prompt")
    index.close()


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _searches(index: DocumentIndex, query: Callable[[], str]) -> Timings:
    timings = Timings()
    block = []
    for _ in range(_QUERIES):
        words = query()
        began = time.perf_counter_ns()
        index.search(words, 5)
        block.append(time.perf_counter_ns() - began)
    timings.add(block)
    return timings


if __name__ == "__main__":
    main()
