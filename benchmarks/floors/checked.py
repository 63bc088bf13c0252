"""The floor of the checked cases, a careful script. `checked.py SOURCE RESULT REJECTIONS KEPT`

SOURCE is CSV or Parquet. REJECTIONS and KEPT are Parquet: what was rejected and why, and what was
accepted, so that tomorrow can be compared. Prints how many rows were selected, rejected,
duplicates and sent.
"""

import json
import sys

import duckdb

BLANKS = r"^[\s\v\x{85}\pZ]+|[\s\v\x{85}\pZ]+\z"
ADDRESS = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@([A-Za-z0-9]+(-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
WIDE = r"[\pL\pN_+-]+(\.[\pL\pN_+-]+)*@([\pL\pM\pN]+(-[\pL\pM\pN]+)*\.)+\pL{2,}"

source, result, rejections, kept = sys.argv[1:]

duckdb.execute(f"""
    CREATE MACRO trimmed(x) AS nullif(regexp_replace(x, '{BLANKS}', '', 'g'), '');
    CREATE MACRO is_address(x) AS
        regexp_full_match(x, '{ADDRESS}') OR regexp_full_match(x, '{WIDE}');

    CREATE TEMP TABLE mapped AS
    SELECT *, CASE
        WHEN email IS NULL THEN 'email is missing'
        WHEN length(email) > 80 THEN 'email is longer than 80'
        WHEN NOT is_address(email) THEN 'email is not an address'
        WHEN length(first_name) > 50 THEN 'first_name is longer than 50'
        WHEN length(last_name) > 50 THEN 'last_name is longer than 50'
        WHEN length(city) > 50 THEN 'city is longer than 50'
    END AS reason
    FROM (
        SELECT customer_id, updated_at, lower(trimmed(email)) AS email,
            trimmed(first_name) AS first_name, trimmed(last_name) AS last_name,
            trimmed(city) AS city, country
        FROM '{source}'
    )
""")

(rejected,) = duckdb.execute(f"""
    COPY (SELECT * FROM mapped WHERE reason IS NOT NULL) TO '{rejections}' (FORMAT parquet)
""").fetchone()

duckdb.execute("""
    CREATE TEMP TABLE accepted AS
    SELECT email, first_name, last_name, city, country FROM mapped WHERE reason IS NULL
    QUALIFY row_number() OVER (PARTITION BY email ORDER BY updated_at DESC, customer_id) = 1
""")
duckdb.execute(f"COPY accepted TO '{kept}' (FORMAT parquet)")
(sent,) = duckdb.execute(f"COPY accepted TO '{result}' (FORMAT csv, HEADER)").fetchone()

(selected,) = duckdb.execute("SELECT count(*) FROM mapped").fetchone()
duplicates = selected - rejected - sent
counts = {"selected": selected, "rejected": rejected, "duplicates": duplicates, "sent": sent}
print(json.dumps(counts))
