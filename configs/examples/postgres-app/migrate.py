"""Apply the SQL files that the database does not have yet, in the order of their names."""

import pathlib
import sys

import psycopg2

with psycopg2.connect("dbname=postgres") as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
    cursor.execute("SELECT name FROM migrations")
    applied = {name for (name,) in cursor.fetchall()}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.sql")):
        if path.name not in applied:
            cursor.execute(path.read_text())
            cursor.execute("INSERT INTO migrations VALUES (%s)", [path.name])
            print("applied", path.name)
