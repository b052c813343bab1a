#!/bin/sh
# Brings Temporal's two databases to the schema of this admin-tools image; safe to run again.
# Host, port, user, password and plugin come from the SQL_* variables.
set -eu

for name in temporal visibility; do
    database=temporal
    [ "$name" = temporal ] || database=temporal_visibility
    temporal-sql-tool --db "$database" create
    temporal-sql-tool --db "$database" setup-schema -v 0.0
    temporal-sql-tool --db "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$name/versioned"
done
