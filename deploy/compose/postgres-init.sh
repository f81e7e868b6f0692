#!/bin/sh
# Run once, on an empty volume: a user and a database for the mesh, and a user for Temporal, which makes its own databases.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres \
  --set devteam="$DEVTEAM_DB_PASSWORD" --set temporal="$TEMPORAL_DB_PASSWORD" <<'SQL'
CREATE ROLE devteam LOGIN PASSWORD :'devteam';
CREATE DATABASE devteam OWNER devteam;
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal';
SQL
