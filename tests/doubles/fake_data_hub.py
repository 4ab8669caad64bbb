"""A hub of data sets on this machine: enough of it for the `datasets` library."""

import contextlib
import hashlib
import http.server
import json
import urllib.parse

from doubles.fake_sources import COMMIT, Quiet, serving


@contextlib.contextmanager
def hub(repo, files, gated=None):
    """Serves `files` (name → bytes) as revision "main", `COMMIT`, of the data set `repo`; yields (endpoint, [(method, path)]).

    gated: another repository, refused as to a visitor who has not accepted its terms.
    """
    asked, home = [], f"/datasets/{repo}"

    def entry(name):
        return {"type": "file", "path": name, "size": len(files[name]), "oid": "0"}

    class Handler(Quiet, http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def do_POST(self):  # paths-info: which of these are there
            wanted = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).get("paths", [])
            listed = [entry(name) for name in wanted if name in files]
            self.answer(body=True, content=json.dumps(listed).encode())

        def answer(self, body, content=None):
            asked.append((self.command, self.path))
            path, headers = self.path.split("?")[0], {}
            file = path.split("/", 3 + home.count("/"))[-1] if path.startswith(f"{home}/resolve/") else None
            if path.startswith(f"/api/datasets/{repo}") and content is None:
                listed = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                content = json.dumps({"id": repo, "sha": COMMIT, "siblings": listed}).encode()
                if "/tree/" in path:
                    folder = "/".join(path.split("/tree/")[1].split("/")[1:])
                    content = json.dumps([entry(name) for name in files if name.startswith(folder)]).encode()
            elif path == "/":
                content = b"hub"
            elif file in files:
                content = files[file]
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            elif file:
                headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
            if gated and f"/{gated}/" in path:
                content, headers = None, {"X-Error-Code": "GatedRepo"}
            self.send_response(401 if "GatedRepo" in headers.values() else 404 if content is None else 200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if body:
                self.wfile.write(content or b"")

    with serving(Handler) as endpoint:
        yield endpoint, asked
