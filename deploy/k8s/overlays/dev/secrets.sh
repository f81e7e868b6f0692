#!/bin/sh
# Makes the secrets of this overlay, once. Needs the image, or DEVTEAM="devteam" for a `devteam` of this machine.
set -eu
umask 077
cd "$(dirname "$0")"
if [ -e secrets/mesh.key ]; then
  echo "secrets are there already: take overlays/dev/secrets away for new ones" >&2
  exit 1
fi
mkdir -p secrets
if [ -n "${DEVTEAM:-}" ]; then
  $DEVTEAM keys mesh >secrets/mesh.key
else
  docker run --rm --read-only --network none "${DEVTEAM_IMAGE:-devteam-orchestrator:0.1.0}" devteam keys mesh >secrets/mesh.key
fi
password=$(head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | cut -c 1-32)
cat >secrets/database.env <<END
password=$password
url=postgresql+psycopg://devteam:$password@postgres.devteam.svc.cluster.local/devteam
END
