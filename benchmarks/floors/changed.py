"""The floor of the changed case, by hand. `changed.py SOURCE FOLDER`

FOLDER is where the script keeps what was accepted the last time, and leaves the rejections and the
changes. The first time everything is new. Prints the counts.
"""

import json
import sys
from pathlib import Path

import duckdb

BLANKS = r"^[\s\v\x{85}\pZ]+|[\s\v\x{85}\pZ]+\z"
ADDRESS = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@([A-Za-z0-9]+(-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
WIDE = r"[\pL\pN_+-]+(\.[\pL\pN_+-]+)*@([\pL\pM\pN]+(-[\pL\pM\pN]+)*\.)+\pL{2,}"
COLUMNS = ("email", "first_name", "last_name", "city", "country")

source, folder = sys.argv[1], Path(sys.argv[2])
before, after = folder / "accepted.parquet", folder / "accepted.new.parquet"
first = not before.exists()

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
    );
    CREATE TEMP TABLE accepted AS
    SELECT {", ".join(COLUMNS)} FROM mapped WHERE reason IS NULL
    QUALIFY row_number() OVER (PARTITION BY email ORDER BY updated_at DESC, customer_id) = 1
""")
((rejected,),) = duckdb.execute(f"""
    COPY (SELECT * FROM mapped WHERE reason IS NOT NULL)
    TO '{folder / "rejections.parquet"}' (FORMAT parquet)
""").fetchall()

known = "(SELECT * FROM accepted LIMIT 0)" if first else f"'{before}'"
differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in COLUMNS[1:])
duckdb.execute(f"""
    CREATE TEMP TABLE changes AS
    SELECT CASE WHEN b.email IS NULL THEN 'add' ELSE 'update' END AS operation, a.*
    FROM accepted AS a LEFT JOIN {known} AS b ON a.email = b.email
    WHERE b.email IS NULL OR {differs};
    COPY changes TO '{folder / "changes.parquet"}' (FORMAT parquet);
    COPY (
        SELECT * FROM accepted
        UNION ALL
        SELECT b.* FROM {known} AS b ANTI JOIN accepted USING (email)
    ) TO '{after}' (FORMAT parquet)
""")
after.replace(before)

((selected, accepted),) = duckdb.execute(
    "SELECT (SELECT count(*) FROM mapped), (SELECT count(*) FROM accepted)"
).fetchall()
changed = dict(
    duckdb.execute("SELECT operation, count(*) FROM changes GROUP BY operation").fetchall()
)
added, updated = changed.get("add", 0), changed.get("update", 0)
counts = {
    "selected": selected,
    "rejected": rejected,
    "duplicates": selected - rejected - accepted,
    "unchanged": accepted - added - updated,
    "added": added,
    "updated": updated,
}
print(json.dumps(counts))
