"""`get_file` against a server on this machine: whole files, right hashes, nothing lost on failure."""

import contextlib
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from symgraph.globals import KERAS, _settings
from symgraph.utils import data_utils, get_file
from symgraph.utils.data_utils import _extract_archive, validate_file

CONTENT = np.random.default_rng(7).bytes(30_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`, broken in the way that the request's query asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self.path)
        name, _, trouble = self.path.lstrip("/").partition("?")
        self.close_connection = True
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name]
        kind, _, number = trouble.partition("=")
        sent = body[: int(number)] if number else body
        self.send_response(200)
        self.send_header("Connection", "close")
        if kind == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif kind != "unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            if kind == "chunked":
                self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
                self.wfile.write(b"0\r\n\r\n" if len(sent) == len(body) else b"")
            elif kind == "slow":
                for start in range(0, len(body), 1000):
                    self.wfile.write(body[start : start + 1000])
                    time.sleep(0.005)
            else:
                self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    """A server with `files`, the `requests` that it has seen, and its `url`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files = {"data.bin": CONTENT}
        running.requests = []
        running.url = f"http://127.0.0.1:{running.server_port}/"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The user's home and the cache in it; downloads on this machine pass no proxy."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("SYMGRAPH_HOME", str(tmp_path / "user" / ".symgraph"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "user").mkdir()
    return tmp_path / "user" / ".symgraph" / "datasets"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("given", [{}, {"file_hash": SHA256}, {"file_hash": MD5.upper()}, {"md5_hash": MD5}])
def test_downloads_once(server, home, given, capsys):
    before = len(server.requests)
    for _ in range(2):
        path = get_file("data.bin", server.url + "data.bin", **given)
        assert path == str(home / "data.bin")
        assert Path(path).read_bytes() == CONTENT
    assert len(server.requests) == before + 1
    assert names(home) == ["data.bin"]
    assert "30000/30000 [====" in capsys.readouterr().out


def test_places(server, home, tmp_path, monkeypatch):
    url = server.url + "data.bin"
    assert get_file("d", url, cache_dir=tmp_path / "other") == str(tmp_path / "other" / "datasets" / "d")
    assert get_file("d", url, cache_subdir="models") == str(home.parent / "models" / "d")
    assert get_file(tmp_path / "absolute", url) == str(tmp_path / "absolute")
    assert get_file("deep/d", url) == str(home / "deep" / "d")
    monkeypatch.delenv("SYMGRAPH_HOME")
    assert get_file("d", url) == str(home / "d")


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SYMGRAPH_HOME", str(blocked / "home"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(data_utils.tempfile, "tempdir", str(temporary))
    path = Path(get_file("d", server.url + "data.bin"))
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(temporary)
    assert path.parent.parent.stat().st_mode & 0o077 == 0
    os.chmod(path.parent.parent, 0o777)
    other = Path(get_file("d", server.url + "data.bin"))
    assert other.parent.parent != path.parent.parent


def test_an_intact_file_of_keras_is_used(server, home, tmp_path):
    kept = tmp_path / "user" / ".keras" / "datasets" / "data.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    before = len(server.requests)
    assert get_file("data.bin", server.url + "data.bin", file_hash=SHA256) == str(kept)
    assert len(server.requests) == before
    assert get_file("data.bin", server.url + "data.bin") == str(home / "data.bin")
    (home / "data.bin").unlink()
    kept.write_bytes(CONTENT[:-1])
    assert get_file("data.bin", server.url + "data.bin", file_hash=SHA256) == str(home / "data.bin")
    assert kept.read_bytes() == CONTENT[:-1]


def test_a_file_of_keras_without_a_hash_is_used_where_the_download_fails(server, home, tmp_path, capsys):
    kept = tmp_path / "user" / ".keras" / "datasets" / "data.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    nobody = "http://127.0.0.1:9/data.bin"
    for origin in (nobody, server.url + "absent", server.url + "data.bin?cut=20"):
        assert get_file("data.bin", origin) == str(kept)
        assert f"is used, unchecked: {kept}" in capsys.readouterr().out
    for options in ({"file_hash": SHA256}, {"cache_dir": tmp_path / "other"}, {"cache_subdir": "models"}):
        with pytest.raises(OSError, match="URL fetch failure"):
            get_file("data.bin", nobody, **options)
    assert Path(get_file("data.bin", server.url + "data.bin")).read_bytes() == CONTENT
    (kept.parent / "pictures.tar.gz").write_bytes(archive("tar"))
    assert get_file("pictures", nobody, untar=True) == str(home / "pictures")
    assert (home / "pictures" / "a").read_bytes() == b"a"
    assert names(kept.parent) == ["data.bin", "pictures.tar.gz"]


@pytest.fixture
def as_keras(monkeypatch):
    monkeypatch.setattr(_settings, "manners", KERAS)


def test_under_the_name_of_keras_its_folder_counts(server, home, tmp_path, monkeypatch, as_keras, capsys):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    kept = tmp_path / "user" / ".keras" / "datasets" / "data.bin"
    assert get_file("data.bin", server.url + "data.bin") == str(kept)
    assert kept.read_bytes() == CONTENT and not home.exists()
    # As in Keras, a file that somebody has put there is taken, unless it has a hash that differs.
    kept.write_bytes(b"put there")
    before = len(server.requests)
    assert get_file("data.bin", server.url + "data.bin") == str(kept)
    assert kept.read_bytes() == b"put there" and len(server.requests) == before
    assert get_file("data.bin", server.url + "data.bin", file_hash=SHA256) == str(kept)
    assert kept.read_bytes() == CONTENT
    assert "its hash is not" in capsys.readouterr().out
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert get_file("data.bin", server.url + "data.bin") == str(tmp_path / "elsewhere/datasets/data.bin")
    assert get_file("d", server.url + "data.bin", cache_dir=tmp_path) == str(tmp_path / "datasets" / "d")


def test_under_the_name_of_keras_its_temporary_folder_is_the_other_one(
    server, tmp_path, monkeypatch, as_keras
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(data_utils.tempfile, "tempdir", str(tmp_path))
    assert get_file("d", server.url + "data.bin") == str(tmp_path / ".keras" / "datasets" / "d")
    # Not where others can write.
    os.chmod(tmp_path / ".keras", 0o777)
    other = Path(get_file("d", server.url + "data.bin"))
    assert other.read_bytes() == CONTENT and not other.is_relative_to(tmp_path / ".keras")


def test_broken_off_downloads_are_never_accepted(server, home):
    for length in np.random.default_rng(1).integers(0, len(CONTENT), 100):
        for kind in ("cut", "chunked"):
            with pytest.raises(OSError, match="URL fetch failure"):
                get_file("data.bin", f"{server.url}data.bin?{kind}={length}")
    assert names(home) == []
    with pytest.raises(OSError, match="no length"):
        get_file("data.bin", f"{server.url}data.bin?unsized=20")
    with pytest.raises(ValueError, match="hash"):
        get_file("data.bin", f"{server.url}data.bin?unsized=20", file_hash=SHA256)
    assert names(home) == []
    for kind in ("chunked", "unsized"):
        path = get_file(kind, f"{server.url}data.bin?{kind}", file_hash=SHA256)
        assert Path(path).read_bytes() == CONTENT
    assert Path(get_file("unhashed", f"{server.url}data.bin?chunked")).read_bytes() == CONTENT


def test_a_failure_keeps_the_older_file(server, home, capsys):
    home.mkdir(parents=True)
    (home / "data.bin").write_text("older")
    with pytest.raises(OSError, match="404"):
        get_file("data.bin", server.url + "absent", file_hash=SHA256)
    server.files["forged"] = b"forged"
    with pytest.raises(ValueError, match=f"not the expected {SHA256}"):
        get_file("data.bin", server.url + "forged", file_hash=SHA256)
    assert (home / "data.bin").read_text() == "older"
    assert names(home) == ["data.bin"]
    assert get_file("data.bin", server.url + "absent") == str(home / "data.bin")
    capsys.readouterr()
    get_file("data.bin", server.url + "data.bin", file_hash=SHA256)
    assert "A local file was found" in capsys.readouterr().out
    assert (home / "data.bin").read_bytes() == CONTENT


def test_servers_that_are_not_there(home):
    with pytest.raises(OSError, match="URL fetch failure"):
        get_file("d", "http://127.0.0.1:9/d")
    assert names(home) == []


def test_a_killed_download_leaves_nothing_that_counts(server, home):
    script = f"from symgraph.utils import get_file; get_file('data.bin', '{server.url}data.bin?slow')"
    for delay in (0.0, 0.03, 0.06, 0.1):
        seen = len(server.requests)
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
        while len(server.requests) == seen and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = home / "data.bin"
        assert not found.exists() or found.read_bytes() == CONTENT
    left = [path for path in home.iterdir() if path.suffix == ".part"]
    assert left
    for path in left[:1]:
        os.utime(path, (0, 0))
    get_file("data.bin", server.url + "data.bin", file_hash=SHA256)
    assert not left[0].exists()
    assert all(path.exists() for path in left[1:])


def test_two_at_once(server, home):
    errors = []

    def fetch():
        try:
            assert Path(get_file("data.bin", f"{server.url}data.bin?slow")).read_bytes() == CONTENT
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(home) == ["data.bin"]


def archive(kind):
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("pictures/a", b"a")
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as file:
            info = tarfile.TarInfo("pictures/a")
            info.size = 1
            file.addfile(info, io.BytesIO(b"a"))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("kind", "formats", "unpacked"),
    [
        ("tar", "auto", True),
        ("zip", "auto", True),
        ("tar", "tar", True),
        ("tar", ["zip", "tar"], True),
        ("zip", None, False),
        ("zip", [], False),
    ],
)
def test_extraction(server, home, kind, formats, unpacked):
    server.files["packed"] = archive(kind)
    for _ in range(2):
        path = get_file("packed", server.url + "packed", extract=True, archive_format=formats)
        assert path == str(home / "packed")
    assert (home / "pictures" / "a").exists() == unpacked
    assert "packed" in names(home)


@pytest.mark.parametrize(("kind", "formats"), [("tar", "auto"), ("zip", "zip"), ("tar", ["zip", "tar"])])
def test_archives_by_the_hidden_name(tmp_path, kind, formats):
    (tmp_path / "packed").write_bytes(archive(kind))
    assert _extract_archive(tmp_path / "packed", str(tmp_path / "new"), formats)
    assert (tmp_path / "new" / "pictures" / "a").read_bytes() == b"a"


def test_what_is_no_archive_by_the_hidden_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("packed").write_bytes(archive("zip"))
    Path("text").write_bytes(b"no archive")
    assert not _extract_archive("text")
    assert not _extract_archive("packed", "new", None) and not _extract_archive("packed", "new", "tar")
    Path("packed").write_bytes(archive("zip")[:-30])
    with pytest.raises(ValueError, match="archive_format must be"):
        _extract_archive("packed", "new", "rar")
    assert not list(Path("new").iterdir()) and _extract_archive.__defaults__ == (".", "auto")


def test_untar(server, home, tmp_path):
    server.files["pictures.tgz"] = archive("tar")
    path = get_file("pictures", server.url + "pictures.tgz", untar=True)
    assert path == str(home / "pictures")
    assert names(home) == ["pictures", "pictures.tar.gz"]
    (home / "pictures" / "mine").write_text("")
    get_file("pictures", server.url + "pictures.tgz", untar=True)
    assert (home / "pictures" / "mine").exists()


def test_an_archive_kept_by_keras_is_unpacked_in_our_own_cache(server, home, tmp_path):
    kept = tmp_path / "user" / ".keras" / "datasets" / "packed"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(archive("zip"))
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    assert get_file("packed", server.url + "absent", file_hash=digest, extract=True) == str(home / "packed")
    assert (home / "pictures" / "a").exists()
    assert names(kept.parent) == ["packed"]


def test_corrupt_archives_leave_the_cache_alone(server, home):
    home.mkdir(parents=True)
    for number in range(5):
        (home / f"kept{number}").write_text(str(number))
    whole = archive("tar")
    server.files["bad"] = whole[:-12]
    with pytest.raises(ValueError, match="damaged"):
        get_file("bad", server.url + "bad", extract=True)
    with pytest.raises(ValueError, match="damaged"):
        get_file("bad2", server.url + "bad", untar=True)
    server.files["text"] = b"no archive"
    with pytest.warns(UserWarning, match="no archive"):
        get_file("text", server.url + "text", extract=True)
    with pytest.raises(ValueError, match="no tar archive"):
        get_file("text2", server.url + "text", untar=True)
    assert names(home) == ["bad", "bad2.tar.gz", *(f"kept{n}" for n in range(5)), "text", "text2.tar.gz"]


def test_validate_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    for expected, algorithm in ((SHA256, "sha256"), (SHA256, "auto"), (MD5, "md5"), (MD5, "auto")):
        assert validate_file(path, expected, algorithm, chunk_size=1000)
        assert validate_file(path, expected.upper(), algorithm)
        assert not validate_file(path, expected[::-1], algorithm)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file_hash": "abc"}, "file_hash has 3 digits"),
        ({"file_hash": MD5, "hash_algorithm": "sha256"}, "32 digits"),
        ({"file_hash": MD5, "hash_algorithm": "sha1"}, "hash_algorithm must be"),
        ({"archive_format": "rar"}, "archive_format must be"),
        ({"archive_format": ["tar", "rar"]}, "archive_format must be"),
    ],
)
def test_impossible_arguments(server, home, options, message):
    before = len(server.requests)
    with pytest.raises(ValueError, match=re.escape(message)):
        get_file("data.bin", server.url + "data.bin", **options)
    assert len(server.requests) == before


def test_origin_is_a_text(tmp_path):
    with pytest.raises(TypeError, match="origin should be a URL, got None"):
        get_file("x", None, cache_dir=tmp_path)
