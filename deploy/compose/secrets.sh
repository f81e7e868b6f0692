#!/bin/sh
# Makes what the compose file calls secrets, once: the mesh key, an authority with a certificate, a key that the Planner encrypts
# with, and passwords.
# Needs the image, or DEVTEAM="devteam" for a `devteam` of this machine. Names the mesh is reached by, beside localhost:
#
#     deploy/compose/secrets.sh mesh.example.com 192.0.2.7
set -eu
umask 077
cd "$(dirname "$0")"
if [ -e secrets/mesh.key ]; then
  echo "secrets are there already; who takes away deploy/compose/secrets takes away every key and password" >&2
  exit 1
fi
mkdir -p secrets

devteam() {
  if [ -n "${DEVTEAM:-}" ]; then
    (cd secrets && $DEVTEAM "$@")
  else
    docker run --rm --read-only --network none --user "$(id -u):$(id -g)" --tmpfs /tmp \
      --volume "$PWD/secrets:/data" "${DEVTEAM_IMAGE:-devteam-orchestrator:0.1.0}" devteam "$@"
  fi
}

password() {
  head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | cut -c 1-32
}

hosts="--host=registry --host=router --host=planner --host=gateway"
for name in "$@"; do hosts="$hosts --host=$name"; done
# shellcheck disable=SC2086  # several words on purpose
devteam certs init tls $hosts >/dev/null
devteam keys mesh >secrets/mesh.key
devteam encryption new-key >secrets/encryption.keys
printf 'DEVTEAM_API_KEY=%s\n' "$(cat secrets/mesh.key)" >secrets/ctl.env

database=$(password)
printf 'postgres:5432:devteam:devteam:%s\n' "$database" >secrets/pgpass
password >secrets/grafana.password
cat >../.env <<END
DEVTEAM_UID=$(id -u)
DEVTEAM_GID=$(id -g)
POSTGRES_PASSWORD=$(password)
DEVTEAM_DB_PASSWORD=$database
TEMPORAL_DB_PASSWORD=$(password)
# Yours: the days after which plans that ended are erased, with prompts and answers. 0 keeps them for ever.
DEVTEAM_RETENTION_DAYS=90
END
echo "made: deploy/compose/secrets and deploy/.env; Grafana's admin: see deploy/compose/secrets/grafana.password" >&2
