#!/bin/sh
# Makes what DATABASES names, as "database:owner" each: run once by PostgreSQL's image, on an empty volume. The password of a role is
# in PASSWORD_role. The owner may do everything in his database and has no other. The role `reader` reads what owners make.
set -eu

export OWNER DATABASE PASSWORD

# shellcheck disable=SC2154
PASSWORD="$PASSWORD_reader"
psql --quiet --username postgres --dbname postgres --set ON_ERROR_STOP=1 <<'SQL'
\getenv password PASSWORD
CREATE ROLE reader LOGIN PASSWORD :'password';
SQL

# shellcheck disable=SC2153
for pair in $DATABASES; do
    DATABASE="${pair%%:*}" OWNER="${pair#*:}"
    PASSWORD="$(printenv "PASSWORD_$OWNER")"
    psql --quiet --username postgres --dbname postgres --set ON_ERROR_STOP=1 <<'SQL'
\getenv database DATABASE
\getenv owner OWNER
\getenv password PASSWORD
CREATE ROLE :"owner" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"owner";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO reader;
\connect :"database"
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SCHEMAS TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT ON TABLES TO reader;
SQL
done
