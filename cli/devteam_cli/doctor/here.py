"""What a worker on this machine could run."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from devteam.mesh.finding import Finding, Verdict, skipped, warning
from devteam_cli.doctor.examination import Surroundings


async def providers(here: Surroundings) -> Sequence[Finding]:
    """What the worker's own doctor finds of models; here they may be missing, since a worker need not run here."""
    if find_spec("anthropic") is None or find_spec("psutil") is None:
        return [skipped('no worker is installed here: pip install "devteam-orchestrator[worker]"')]
    from devteam_worker.command_line import file_of
    from devteam_worker.data_folder import folder
    from devteam_worker.doctor.examination import Surroundings as OfWorker
    from devteam_worker.doctor.examination import examine
    from devteam_worker.doctor.providers import CHECKS
    from devteam_worker.settings import load_settings

    from devteam.errors import InvalidInput

    try:
        settings = load_settings(file_of(None, None), {}, here.environ)
    except InvalidInput as error:
        return [warning(f"a worker would not start here: {error.message}", "see `devteam-worker doctor`")]
    found = await examine(CHECKS, OfWorker(settings, here.environ, folder(None), here.patience))
    return [_of_worker(name, finding) for name, finding in found.items()]


def _of_worker(name: str, found: Finding) -> Finding:
    verdict = Verdict.WARNING if found.verdict is Verdict.PROBLEM else found.verdict
    return replace(found, verdict=verdict, check=f"here: {name}")
