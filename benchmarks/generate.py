"""Writes the benchmarks' profiles: `python benchmarks/generate.py [--rows N] [--seed S]`.

One row is 20 columns and about 260 bytes of CSV. Of all rows about 6 % repeat an earlier person's
address (in another case, with blanks around it, some with the very same `updated_at`), 3 % have no
address, 2 % a bad one, 0.1 % one with letters beyond ASCII, 0.5 % a name that is too long.
The same rows, seed and version of DuckDB give the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import people

DATA = Path(__file__).parent / "data"


def words(text: str) -> str:
    """A SQL list out of a text of `people`."""
    return "[" + ", ".join("'" + word.replace("'", "''") + "'" for word in text.split(" | ")) + "]"


def dice(seed: int) -> str:
    """SQL macros that turn a row number and the name of a purpose into chance."""
    return f"""
    CREATE MACRO roll(i, purpose, sides) AS (hash(i, purpose, {seed}) % sides)::INT;
    CREATE MACRO pick(words, i, purpose) AS words[1 + roll(i, purpose, len(words))];
    CREATE MACRO chance(i, purpose, per_mille) AS roll(i, purpose, 1000) < per_mille;
    """


def scripts() -> str:
    """A table with a hundred rows, one a percent, so that a roll of a hundred picks a script."""
    rows = [
        f"({words(script.first)}, {words(script.last)}, {words(script.cities)})"
        for script in people.SCRIPTS
        for _ in range(script.percent)
    ]
    return f"""
    CREATE TABLE script AS SELECT row_number() OVER () - 1 AS percent, *
    FROM (VALUES {", ".join(rows)}) AS _(first, last, cities);
    """


def profiles(rows: int) -> str:
    """The 20 columns. `p` is the person: an earlier row's for those who come twice."""
    return f"""
    WITH person AS (
        SELECT range AS i,
            CASE WHEN range > 100 AND chance(range, 'twice', 60)
                THEN hash(range, 'whom') % range ELSE range END AS p
        FROM range({rows})
    ), addressed AS (
        SELECT i, p, pick({words(people.LOCALS)}, p, 'local') || '.' || p AS local,
            CASE WHEN chance(p, 'wide', 1) THEN pick({words(people.WIDE_DOMAINS)}, p, 'domain')
                ELSE pick({words(people.DOMAINS)}, p, 'domain') END AS domain
        FROM person
    )
    SELECT
        'C' || lpad(i::VARCHAR, 8, '0') AS customer_id,
        CASE
            WHEN chance(i, 'no address', 25) THEN NULL
            WHEN chance(i, 'blank address', 5) THEN '  '
            WHEN chance(i, 'bad address', 20)
                THEN replace(pick({words(people.BAD_ADDRESSES)}, i, 'how bad'), '{{}}', local)
            WHEN chance(i, 'shouted', 80) THEN upper(local) || '@' || domain
            WHEN chance(i, 'spaced', 40) THEN '  ' || local || '@' || domain || ' '
            WHEN chance(i, 'tabbed', 5) THEN local || '@' || domain || chr(160) || chr(9)
            ELSE local || '@' || domain
        END AS email,
        CASE WHEN chance(i, 'no first', 40) THEN NULL
            WHEN chance(i, 'long first', 3) THEN repeat(pick(first, p, 'first') || ' ', 20)
            WHEN chance(i, 'spaced first', 30) THEN ' ' || pick(first, p, 'first') || '  '
            ELSE pick(first, p, 'first') END AS first_name,
        CASE WHEN chance(i, 'no last', 20) THEN NULL
            WHEN chance(i, 'long last', 2) THEN repeat(pick(last, p, 'last') || '-', 25)
            ELSE pick(last, p, 'last') END AS last_name,
        CASE WHEN chance(p, 'phone', 700)
            THEN '+44 20 7946 0' || lpad(roll(p, 'number', 1000)::VARCHAR, 3, '0') END AS phone,
        CASE WHEN chance(p, 'birthday', 750)
            THEN DATE '1940-01-01' + roll(p, 'born', 24000) END AS birthday,
        pick(['female', 'male', NULL, 'other', 'female', 'male'], p, 'gender') AS gender,
        pick({words(people.STREETS)}, i, 'street') || ' ' || roll(i, 'house', 240) AS street,
        pick(cities, p, 'city') AS city,
        lpad(roll(p, 'postcode', 100000)::VARCHAR, 5, '0') AS postal_code,
        pick({words(people.COUNTRIES)}, p, 'country') AS country,
        pick({words(people.LANGUAGES)}, p, 'language') AS language,
        pick(['bronze', 'bronze', 'silver', 'gold', NULL], p, 'tier') AS tier,
        (roll(i, 'value', 500000) / 100)::DECIMAL(10, 2) AS lifetime_value,
        roll(i, 'orders', 60) AS orders,
        CASE WHEN chance(i, 'ordered', 800)
            THEN TIMESTAMP '2023-01-01' + to_seconds(roll(i, 'order', 90000000))
        END AS last_order_at,
        chance(p, 'newsletter', 620) AS newsletter,
        pick(['web form', 'till', 'phone', 'competition'], i, 'origin') AS consent_source,
        CASE WHEN chance(i, 'note', 900)
            THEN pick({words(people.NOTES)}, i, 'note text') END AS notes,
        TIMESTAMP '2024-01-01' + to_seconds(
            roll(CASE WHEN chance(i, 'tie', 100) THEN p ELSE i END, 'updated', 60000000)
        ) AS updated_at
    FROM addressed JOIN script ON percent = roll(p, 'script', 100)
    ORDER BY i
    """


def generate(rows: int, folder: Path, seed: int = 20) -> tuple[Path, Path]:
    """Writes `profiles.csv` and `profiles.parquet` into `folder` and answers their paths.

    Files that are there already stay: delete the folder to have them written again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    csv, parquet = folder / "profiles.csv", folder / "profiles.parquet"
    if csv.exists() and parquet.exists():
        return csv, parquet
    with duckdb.connect(config={"temp_directory": str(folder / "spill")}) as engine:
        engine.execute(dice(seed))
        engine.execute(scripts())
        engine.execute(f"CREATE TABLE profiles AS {profiles(rows)}")
        for path, how in ((csv, "FORMAT csv, HEADER"), (parquet, "FORMAT parquet")):
            draft = path.with_suffix(".draft")
            engine.execute(f"COPY profiles TO '{draft}' ({how})")
            draft.replace(path)
    return csv, parquet


def generate_parquet(rows: int, folder: Path, seed: int = 20) -> Path:
    """Writes `profiles.parquet` alone into `folder`, row by row: for more than memory holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profiles.parquet"
    with duckdb.connect(config={"temp_directory": str(folder / "spill")}) as engine:
        engine.execute(dice(seed))
        engine.execute(scripts())
        engine.execute(f"COPY ({profiles(rows)}) TO '{path}' (FORMAT parquet)")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the benchmarks' profiles.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--into", type=Path, help="another folder than data/ROWS")
    parser.add_argument("--parquet", action="store_true", help="that file alone")
    asked = parser.parse_args()
    folder = asked.into or DATA / str(asked.rows)
    files = generate if not asked.parquet else lambda *how: (generate_parquet(*how),)
    for path in files(asked.rows, folder, asked.seed):
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.0f} MB, {size / asked.rows:.0f} bytes a row")


if __name__ == "__main__":
    main()
