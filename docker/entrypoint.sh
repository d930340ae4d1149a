#!/bin/sh
# Brings one container up: waits for the database, migrates it, then becomes the service.
# Any number may start at once; the migrations take a lock. With arguments it runs those instead:
#   docker compose run --rm backend strongroom reset-password admin
set -eu

if [ "$#" -gt 0 ]; then
    exec "$@"
fi

role="${ROLE:-api}"
home="$(dirname "$0")/.."

# The sandbox keeps nothing and has no database.
if [ "$role" != sandbox ]; then
    python "$home/scripts/init_db.py" --wait-seconds "${DATABASE_WAIT_SECONDS:-60}"
fi

# exec: signals must reach the service, not this shell.
exec strongroom serve --role "$role"
