"""The floor of the PostgreSQL case: the fastest driver, and DuckDB to write. `postgresql.py RESULT`

The driver's Arrow batches go to the file as they come. The server's URL is in BENCH_POSTGRESQL.
"""

import os
import sys

import adbc_driver_postgresql.dbapi as adbc
import duckdb

(result,) = sys.argv[1:]

with adbc.connect(os.environ["BENCH_POSTGRESQL"]) as connection, connection.cursor() as cursor:
    cursor.execute(
        "SELECT customer_id AS id, email AS address, first_name AS given, last_name AS family "
        "FROM profiles"
    )
    duckdb.from_arrow(cursor.fetch_record_batch()).write_csv(result)
