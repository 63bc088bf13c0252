# The other floor of the PostgreSQL case: its own CSV, through a pipe. `postgresql_copy.sh RESULT`
psql "$BENCH_POSTGRESQL" --quiet --no-psqlrc --command "COPY (
    SELECT customer_id AS id, email AS address, first_name AS given, last_name AS family
    FROM profiles
) TO STDOUT (FORMAT csv, HEADER)" | cat >"$1"
