#!/bin/sh
# Makes keys for the compose file's workers and its page, with the mesh key, once the mesh is up.
set -eu
umask 077
cd "$(dirname "$0")"

# A key of its own for each role, written once it is there.
keep() {
  key=$(docker compose --file ../compose.yaml run --rm --no-TTY ctl devteam keys create "compose-$1s" --role "$1")
  printf 'DEVTEAM_API_KEY=%s\n' "$key" >"secrets/$1.env"
}

keep worker
keep operator
