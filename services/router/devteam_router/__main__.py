from devteam_router.app import run

run()
