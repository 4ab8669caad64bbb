"""A hub and a package registry on this machine: enough of both for the clients that the catalogue uses."""

import contextlib
import hashlib
import http.server
import json
import re
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


class Asked(tuple):
    """(method, path) of a request, with its `headers` (names in lower case)."""

    headers = None


class Quiet(http.server.BaseHTTPRequestHandler):
    """A handler that writes no log."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """A server with this handler on a free port of this machine; yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def hub(repo, files, revisions=None, token=None, once=None):
    """Serves a repository as huggingface.co lays it out; yields (endpoint, list of `Asked`).

    Args:
      files: name → bytes of revision "main", whose commit is COMMIT.
      revisions: further revisions, name → files; `commit_of` is their commit.
      token: the repository is gated, and only who sends this token gets its files.
      once: name of a file → what happens at the first request for its content only: "cut" sends half of it and closes the
        connection, a number is the status of the answer.
    """
    asked, pending = [], dict(once or {})
    contents = {"main": files, **(revisions or {})}
    contents |= {commit_of(name): listed for name, listed in contents.items()}

    class Handler(Quiet):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            request = Asked((self.command, self.path))
            request.headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(request)
            path = self.path.split("?")[0]
            if path == "/":
                return self.reply(200, b"hub", body)
            found = re.fullmatch(r"/(?:api/models/)?([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+)(?:/(.*))?)?", path)
            if not found or found[1] != repo:
                return self.reply(404, b"", body, {"X-Error-Code": "RepoNotFound"})
            revision = found[3] or "main"
            if revision not in contents:
                return self.reply(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
            if found[2] == "resolve":
                return self.file(contents[revision], commit_of(revision), found[4], body)
            listed = contents[revision].items()
            if found[2] == "tree":
                return self.json([{"type": "file", "path": n, "size": len(data), "oid": _sha(data)} for n, data in listed], body)
            siblings = [{"rfilename": n, "size": len(data)} for n, data in listed]
            return self.json({"id": repo, "sha": commit_of(revision), "siblings": siblings}, body)

        def file(self, listed, commit, name, body):
            sent = self.headers.get("Authorization")
            if token is not None and sent != f"Bearer {token}":
                headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
                return self.reply(403 if sent else 401, b"", body, headers)
            if name not in listed:
                return self.reply(404, b"", body, {"X-Error-Code": "EntryNotFound"})
            content, headers = (
                listed[name],
                {"ETag": f'"{_sha(listed[name])}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"},
            )
            event = pending.pop(name, None) if body else None
            if isinstance(event, int):
                return self.reply(event, b"", body)
            start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.reply(206 if start else 200, content[start:], body, headers, cut=event == "cut")

        def json(self, value, body):
            return self.reply(200, json.dumps(value).encode(), body)

        def reply(self, status, content, body, headers=None, cut=False):
            self.send_response(status)
            for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if cut else content)

    with serving(Handler) as endpoint:
        yield endpoint, asked


def commit_of(revision):
    """The commit of a revision of `hub`: a commit is its own."""
    if re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    return COMMIT if revision == "main" else _sha(revision.encode())[:40]


def _sha(content):
    return hashlib.sha256(content).hexdigest()
