"""Archives from strangers: sound ones are unpacked, hostile and damaged ones write nothing anywhere."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from symgraph.utils.archive import unpack

FILES = {"data/a.txt": b"first", "data/deep/b.bin": bytes(range(256)) * 40, "c.txt": b""}


def tar_with(path, members, mode="w"):
    """A tar file of (TarInfo fields, content) pairs."""
    with tarfile.open(path, mode) as tar:
        for fields, content in members:
            info = tarfile.TarInfo()
            for name, value in fields.items():
                setattr(info, name, value)
            info.size = fields.get("size", len(content))
            tar.addfile(info, io.BytesIO(content))
    return path


def zip_with(path, members):
    """A zip file of (name, unix mode, content) triples."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode, content in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.create_system = 3
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def snapshot(folder):
    """All below `folder`: files with content, folders, links with targets."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


@pytest.fixture
def place(tmp_path):
    """A dataset folder with files in it, and an outside with a file that archives aim at."""
    folder = tmp_path / "home" / "datasets"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"kept{number}").write_text(str(number))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "target").write_text("untouched")
    return folder


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_sound_archives(tmp_path, place, kind):
    source = tmp_path / "archive"
    if kind == "zip":
        zip_with(source, [(name, 0o100644, content) for name, content in FILES.items()])
    else:
        tar_with(source, [({"name": name}, content) for name, content in FILES.items()], kind)
    (place / "data").mkdir()
    (place / "data" / "mine").write_text("mine")
    (place / "c.txt").write_text("older")
    assert unpack(source, place, ["tar", "zip"])
    for name, content in FILES.items():
        assert (place / name).read_bytes() == content
    assert (place / "data" / "mine").read_text() == "mine"
    assert sorted(p.name for p in place.iterdir()) == ["c.txt", "data", *(f"kept{n}" for n in range(5))]


def test_formats(tmp_path, place):
    packed = zip_with(tmp_path / "archive", [("a", 0, b"a")])
    text = tmp_path / "text"
    text.write_text("no archive")
    before = snapshot(place)
    assert not unpack(packed, place, ["tar"])
    assert not unpack(packed, place, [])
    assert not unpack(text, place, ["tar", "zip"])
    assert snapshot(place) == before


LINK = tarfile.SYMTYPE
HOSTILE_NAMES = [
    "../escaped",
    "../../outside/target",
    "/tmp/symgraph-escaped",
    "//tmp/symgraph-escaped",
    "data/../../escaped",
    "data/..",
    "..",
    "./../escaped",
    "..\\escaped",
    "data\\..\\..\\escaped",
    "\\escaped",
    "a/b/c/../../../../escaped",
    "..//escaped",
    ".//..//escaped",
    "data/./../../escaped",
    "data\\../..\\escaped",
    "../" * 40 + "tmp/symgraph-escaped",
    "long" * 60 + "/../../../escaped",
    "ü/../../escaped",
    "../\nescaped",
]
HOSTILE_TARS = {
    "symlink": [{"name": "l", "type": LINK, "linkname": "../../outside"}],
    "symlink then file": [{"name": "l", "type": LINK, "linkname": "../../outside"}, {"name": "l/target"}],
    "symlink inside": [{"name": "a"}, {"name": "l", "type": LINK, "linkname": "a"}],
    "absolute symlink": [{"name": "l", "type": LINK, "linkname": "/etc/passwd"}],
    "dangling symlink": [{"name": "l", "type": LINK, "linkname": "nowhere"}],
    "long symlink chain": [{"name": "l" * n, "type": LINK, "linkname": "../" * n} for n in range(1, 20)],
    "hard link": [{"name": "l", "type": tarfile.LNKTYPE, "linkname": "../../outside/target"}],
    "hard link then file": [
        {"name": "l", "type": tarfile.LNKTYPE, "linkname": "../../outside/target"},
        {"name": "l"},
    ],
    "hard link inside": [{"name": "a"}, {"name": "l", "type": tarfile.LNKTYPE, "linkname": "a"}],
    "character device": [{"name": "d", "type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}],
    "block device": [{"name": "d", "type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}],
    "fifo": [{"name": "f", "type": tarfile.FIFOTYPE}],
    "file as folder": [{"name": "a"}, {"name": "a/b"}],
    "folder as file": [{"name": "a/b"}, {"name": "a"}],
    "file named by nothing": [{"name": "."}],
}


def refused(source, place, root, error=ValueError):
    before = snapshot(root)
    with pytest.raises(error) as caught:
        unpack(source, place, ["tar", "zip"])
    assert snapshot(root) == before
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_paths_that_lead_out(tmp_path, place, name):
    good = b"good"
    source = tar_with(tmp_path / "archive.tar", [({"name": "good"}, good), ({"name": name}, b"bad")])
    refused(source, place, tmp_path)
    source = zip_with(tmp_path / "archive.zip", [("good", 0, good), (name, 0o100644, b"bad")])
    refused(source, place, tmp_path)
    assert not os.path.exists("/tmp/symgraph-escaped")


@pytest.mark.parametrize("case", HOSTILE_TARS)
def test_tar_members_that_are_no_files(tmp_path, place, case):
    source = tar_with(tmp_path / "archive.tar.gz", [(fields, b"") for fields in HOSTILE_TARS[case]], "w:gz")
    refused(source, place, tmp_path)


@pytest.mark.parametrize("mode", [0o120777, 0o020644, 0o060644, 0o010644, 0o140644])
def test_zip_members_that_are_no_files(tmp_path, place, mode):
    source = zip_with(tmp_path / "archive.zip", [("good", 0, b"good"), ("l", mode, b"../../outside")])
    refused(source, place, tmp_path)


def test_links_already_in_the_folder_are_not_followed_out(tmp_path, place):
    (place / "data").symlink_to(tmp_path / "outside")
    source = zip_with(tmp_path / "archive.zip", [("data/target", 0, b"overwritten")])
    refused(source, place, tmp_path)


def test_a_file_in_the_way_of_a_folder(tmp_path, place):
    source = zip_with(tmp_path / "archive.zip", [("kept1/a", 0, b"a")])
    refused(source, place, tmp_path)


def test_negative_sizes_do_not_loop(tmp_path, place):
    info = tarfile.TarInfo("a")
    info.pax_headers = {"size": "-1024"}
    header = info.tobuf(tarfile.PAX_FORMAT)
    source = tmp_path / "archive.tar"
    source.write_bytes(header * 3 + bytes(1024))
    refused(source, place, tmp_path)


def test_an_archive_larger_than_the_disk(tmp_path, place):
    source = tmp_path / "archive.tar"
    info = tarfile.TarInfo("a")
    info.size = 1 << 60
    source.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(source, place, tmp_path, error=OSError)


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_broken_off_archives(tmp_path, place, kind):
    source = tmp_path / "archive"
    content = np.random.default_rng(0).bytes(3000)
    if kind == "zip":
        zip_with(source, [(name, 0, content) for name in "abc"])
    else:
        tar_with(source, [({"name": name}, content) for name in "abc"], kind)
    whole = source.read_bytes()
    end = whole.rstrip(b"\0") if kind == "w" else whole
    before = snapshot(place)
    for length in {*range(0, len(end), 97), min(512 + 3072, len(end) - 1), len(end) - 1}:
        source.write_bytes(whole[:length])
        with contextlib.suppress(ValueError, OSError):
            assert not unpack(source, place, ["tar", "zip"])
        assert snapshot(place) == before


@pytest.mark.parametrize("kind", ["w", "w:gz", "zip"])
def test_changed_archives_never_reach_outside(tmp_path, place, kind):
    source = tmp_path / "archive"
    if kind == "zip":
        zip_with(source, [(name, 0o100644, content) for name, content in FILES.items()])
    else:
        tar_with(source, [({"name": name}, content) for name, content in FILES.items()], kind)
    whole = source.read_bytes()
    random = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        source.write_bytes(damaged)
        with contextlib.suppress(ValueError, OSError):
            unpack(source, place, ["tar", "zip"])
    assert snapshot(tmp_path / "outside") == {"target": b"untouched"}
    assert all((place / f"kept{number}").read_text() == str(number) for number in range(5))
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


def header(kind, size, name="x", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(**records):
    text = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + 2
        length += len(str(length)) - 2
        text += str(length).encode() + line
    return header(tarfile.XHDTYPE, len(text)) + text + bytes(-len(text) % 512)


FILE = header(tarfile.REGTYPE, 0)
END = bytes(1024)
HUGE = 3 << 30


def packed_zeros(before, zeros, after=b""):
    """A .gz that unpacks to `before`, so many MiB of zeros, and `after`."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return (
        b"".join(
            [packer.compress(before), *(packer.compress(block) for _ in range(zeros)), packer.compress(after)]
        )
        + packer.flush()
    )


def zip_bomb(path, name="a", size=None, method=zipfile.ZIP_DEFLATED, content=b"abc"):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    if size is not None:
        data = bytearray(path.read_bytes())
        for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            at = data.index(mark) + place
            data[at : at + 4] = size.to_bytes(4, "little")
        path.write_bytes(data)


def tar_bombs():
    sparse = {"GNU__sparse__major": 1, "GNU__sparse__minor": 0, "GNU__sparse__realsize": 30 << 30}
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X"):
        yield header(kind, HUGE) + bytes(512) + FILE + END
        yield FILE + header(kind, 1 << 16) + bytes(1 << 16) + FILE + END
    yield packed_zeros(header(tarfile.GNUTYPE_LONGNAME, 300 << 20), 300, FILE + END)
    yield header(tarfile.GNUTYPE_SPARSE, 512) + bytes(512) + END
    yield pax(GNU__sparse__map="0,1", GNU__sparse__size=30 << 30) + FILE + END
    yield pax(GNU__sparse__size=30 << 30, GNU__sparse__numblocks=1) + FILE + END
    yield pax(**sparse) + header(tarfile.REGTYPE, 512) + b"1\n0\n1\n".ljust(512, b"\0") + END
    yield packed_zeros(
        pax(**sparse) + header(tarfile.REGTYPE, 8 << 30) + b"9" * 9 + b"\n0" * 251 + b"\n", 100
    )
    yield header(tarfile.GNUTYPE_LONGNAME, 2) * 5000 + END
    yield packed_zeros(header(tarfile.REGTYPE, HUGE), 100)
    yield packed_zeros(FILE + END, 80)
    yield pax(size=HUGE) + FILE + END


_UNPACK = """
import json, pathlib, resource, sys
from symgraph.utils.archive import unpack
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder = pathlib.Path(sys.argv[1])
for path in json.load(sys.stdin):
    try:
        print(unpack(pathlib.Path(path), folder, ["tar", "zip"]))
    except ValueError as error:
        print("refused" if path in str(error) and len(str(error)) < 400 else repr(error))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_bombs_take_no_memory(tmp_path, place):
    listed = []
    for number, content in enumerate(tar_bombs()):
        listed.append(tmp_path / f"bomb{number}.tar")
        listed[-1].write_bytes(content)
    for number, size in enumerate((HUGE, 0xFFFFFFFE, 4)):
        listed.append(tmp_path / f"bomb{number}.zip")
        zip_bomb(listed[-1], size=size)
    before = snapshot(place)
    ran = subprocess.run(
        [sys.executable, "-c", _UNPACK, place],
        input=json.dumps([str(path) for path in listed]),
        capture_output=True,
        text=True,
        check=True,
    )
    *answers, growth = ran.stdout.splitlines()
    assert answers == ["refused"] * len(listed)
    assert int(growth) < 64
    assert snapshot(place) == before


def test_long_names_that_are_honest(tmp_path, place):
    name = "/".join(["folder" * 20] * 20)
    for number, form in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        with tarfile.open(tmp_path / "archive.tar", "w", format=form) as tar:
            info = tarfile.TarInfo(f"{number}/{name}/é.txt")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        assert unpack(tmp_path / "archive.tar", place, ["tar"])
        assert (place / f"{number}" / name / "é.txt").read_bytes() == b"abc"
