"""Notes over HTTP: GET / lists them, POST / adds one."""

import http.server
import sys

import psycopg2


def ask(statement, *values):
    """Run one statement on a connection of its own: the database may have been restarted."""
    connection = psycopg2.connect("dbname=postgres")  # as the user that runs this, by peer
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()
    finally:
        connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    def do_GET(self):
        """List the notes, or answer whoever asks how it is."""
        rows = ask("SELECT id, text FROM notes ORDER BY id") if self.path == "/" else []
        self.answer("".join(f"{number}: {text}\n" for number, text in rows) or "well\n")

    def do_POST(self):
        """Add a note."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        [(number,)] = ask("INSERT INTO notes (text) VALUES (%s) RETURNING id", text)
        self.answer(f"note {number}\n")

    def answer(self, text):
        """Answer with *text*."""
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
