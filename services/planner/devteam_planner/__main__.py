from devteam_planner.app import run

run()
