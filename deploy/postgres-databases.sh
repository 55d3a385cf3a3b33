# Run by the postgres image on an empty volume: one database for each service, which no other service can open.
for service in \
    orders \
    billing \
    notifier \
; do
    psql --username postgres --set ON_ERROR_STOP=1 --set service="$service" --set password="$POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE CONNECT ON DATABASE :"service" FROM PUBLIC;
SQL
done
