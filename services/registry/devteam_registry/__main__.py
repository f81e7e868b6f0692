from devteam_registry.app import run

run()
