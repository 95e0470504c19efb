"""A server with a hole in it, so that a judge that finds nothing elsewhere is seen to find this one.

Writes its port on a line and answers until it is killed. The query's `name` goes into SQL as text,
on purpose.
"""

import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Door(BaseHTTPRequestHandler):
    def do_GET(self):
        name = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
        base = sqlite3.connect(":memory:")
        base.execute("create table people (name text)")
        base.executemany("insert into people values (?)", [("Ada",), ("Grace",), ("Mary",)])
        try:
            rows = base.execute(f"select name from people where name = '{name}'").fetchall()
            status, text = 200, "found: " + ", ".join(name for (name,) in rows)
        except sqlite3.Error as fault:
            status, text = 500, f"sqlite3.OperationalError: {fault}"
        finally:
            base.close()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
print(server.server_address[1], flush=True)
server.serve_forever()
