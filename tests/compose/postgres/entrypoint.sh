#!/bin/sh
# As the real images do it: an empty volume gets a cluster, and what lies in /docker-entrypoint-initdb.d is run while nobody else connects.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username=postgres --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 >/dev/null
    rm /tmp/password
    printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
    for file in /docker-entrypoint-initdb.d/*; do [ -x "$file" ] && "$file"; done
    pg_ctl --wait --mode=fast stop >/dev/null
fi
exec "$@"
