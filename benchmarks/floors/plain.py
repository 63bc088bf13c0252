"""The floor of the plain case: one COPY, as one would type it. `plain.py SOURCE RESULT`"""

import sys

import duckdb

source, result = sys.argv[1:]

duckdb.execute(f"""
    COPY (
        SELECT customer_id AS id, email AS address, first_name AS given, last_name AS family
        FROM read_csv('{source}', all_varchar = true)
    ) TO '{result}'
""")
