#!/bin/sh
# Brings Temporal's own two databases up to date; harmless when they are.
set -eu
schemas=/etc/temporal/schema/postgresql/v12

tool() {
  temporal-sql-tool --plugin postgres12 --endpoint postgres --port 5432 --user temporal "$@"
}

for pair in temporal:temporal temporal_visibility:visibility; do
  database=${pair%:*}
  tool --database "$database" create-database
  tool --database "$database" setup-schema --version 0.0
  tool --database "$database" update-schema --schema-dir "$schemas/${pair#*:}/versioned"
done
