from devteam_cli.main import run

run()
