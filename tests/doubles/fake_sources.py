"""A hub and a package registry on this machine: enough of both for the clients that the catalogue uses."""

import contextlib
import hashlib
import http.server
import json
import threading
import zipfile

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_wheel(directory, name, version, files):
    """A wheel with `files` (path → bytes) and a module that must never run."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    path = directory / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{module}/__init__.py", "raise SystemExit('code of a data package was run')")
        for file, content in files.items():
            wheel.writestr(file, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@contextlib.contextmanager
def hub(repo, files):
    """Serves `files` (name → bytes) as revision "main" of `repo`; yields (endpoint, list of (method, path) asked for)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            asked.append((self.command, self.path))
            path, content, headers = self.path.split("?")[0], None, {}
            if path.startswith(f"/api/models/{repo}"):
                listed = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                content = json.dumps({"id": repo, "sha": COMMIT, "siblings": listed}).encode()
                if "/tree/" in path:
                    tree = [{"type": "file", "path": name, "size": len(data), "oid": "0"} for name, data in files.items()]
                    content = json.dumps(tree).encode()
            elif path == "/":
                content = b"hub"
            elif path.split("/resolve/")[0] == f"/{repo}" and path.rsplit("/", 1)[1] in files:
                content = files[path.rsplit("/", 1)[1]]
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self.send_response(200 if content is not None else 404)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if body:
                self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
