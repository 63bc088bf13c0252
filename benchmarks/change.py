"""Writes the next day's profiles: `python benchmarks/change.py BEFORE AFTER`.

One row in a hundred has moved to another city, one in two hundred is new, one in two hundred gone.
"""

from __future__ import annotations

import sys

import duckdb

before, after = sys.argv[1:]
duckdb.execute(f"""
    COPY (
        SELECT * REPLACE (
            city || CASE WHEN hash(customer_id, 'moved') % 100 = 0 THEN ' II' ELSE '' END AS city,
            CASE WHEN hash(customer_id, 'new') % 200 = 0 THEN 'new.' ELSE '' END || email AS email
        )
        FROM '{before}'
    ) TO '{after}' (FORMAT parquet)
""")
