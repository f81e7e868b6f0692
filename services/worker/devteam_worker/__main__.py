from devteam_worker.cli import run

run()
