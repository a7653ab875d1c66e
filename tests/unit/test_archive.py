"""Archives: the same bytes for the same content, and nothing outside the folder for any content."""

import hashlib
import json
import os
import stat
import zipfile

import pytest

from resources.archive import MANIFEST, ArchiveError, Manifest, pack, unpack


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "below" / "b.parquet").write_bytes(bytes(range(256)) * 5000)
    return folder


@pytest.fixture
def archive(folder, tmp_path):
    pack(folder, tmp_path / "folder.zip", {"of": "tests"})
    return tmp_path / "folder.zip"


def forge(archive, change):
    """Rewrite an archive; `change` gets its contents, and the files that its manifest lists."""
    with zipfile.ZipFile(archive) as members:
        contents = {name: members.read(name) for name in members.namelist()}
    manifest = json.loads(contents[MANIFEST])
    change(contents, manifest["files"])
    contents[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            if name == "link":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            members.writestr(info, content)


def adding(name, content=b"x"):
    def change(contents, files):
        contents[name] = content
        digest = hashlib.sha256(content).hexdigest()
        files[name] = {"bytes": len(content), "sha256": digest}

    return change


def test_there_and_back(folder, archive, tmp_path):
    manifest = unpack(archive, tmp_path / "back")
    assert manifest.about == {"of": "tests"}
    for name in ("a.txt", "below/b.parquet"):
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()
    assert Manifest.read(tmp_path / "back").differences(tmp_path / "back") == ([], [])


def test_the_same_content_gives_the_same_bytes_whatever_its_times(folder, archive, tmp_path):
    (folder / MANIFEST).unlink()
    os.utime(folder / "a.txt", (0, 10**9))
    (folder / "a.txt").chmod(0o600)
    pack(folder, tmp_path / "again.zip", {"of": "tests"})
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_changes_are_told(archive, tmp_path):
    back = tmp_path / "back"
    unpack(archive, back)
    (back / "a.txt").write_text("two")
    (back / "below" / "b.parquet").unlink()
    assert Manifest.read(back).differences(back) == (["below/b.parquet"], ["a.txt"])


def test_nothing_is_overwritten(folder, archive, tmp_path):
    with pytest.raises(ArchiveError, match="overwrites nothing"):
        pack(folder, archive, {})
    with pytest.raises(ArchiveError, match="not empty"):
        unpack(archive, folder)


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "C:evil", "./evil", "a//evil", ""]
)
def test_nothing_leads_out_of_the_folder(archive, tmp_path, name):
    forge(archive, adding(name))
    with pytest.raises(ArchiveError, match="would lead out of the folder"):
        unpack(archive, tmp_path / "in" / "back")
    assert not list((tmp_path / "in").iterdir())


def test_a_link_becomes_a_file_and_what_is_not_listed_stays_packed(archive, tmp_path):
    def change(contents, files):
        adding("link", b"/etc/passwd")(contents, files)
        contents["unlisted"] = b"x"

    forge(archive, change)
    unpack(archive, tmp_path / "back")
    assert not (tmp_path / "back" / "link").is_symlink()
    assert (tmp_path / "back" / "link").read_bytes() == b"/etc/passwd"
    assert not (tmp_path / "back" / "unlisted").exists()


def test_more_than_the_manifest_says_is_not_written(archive, tmp_path):
    def change(contents, files):
        contents["a.txt"] += b" " * 50_000_000

    forge(archive, change)
    with pytest.raises(ArchiveError, match=r"a\.txt is not what the manifest says"):
        unpack(archive, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir() if "back" in path.name] == []


def test_a_listed_file_that_is_not_there(archive, tmp_path):
    def change(contents, files):
        del contents["a.txt"]

    forge(archive, change)
    with pytest.raises(ArchiveError, match=r"no item named 'a\.txt'"):
        unpack(archive, tmp_path / "back")


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "no.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="not a zip file"):
        unpack(tmp_path / "no.zip", tmp_path / "back")


@pytest.mark.parametrize("content", [b"{}", b"[]", b"{", b'{"files": {"a": 1}}'])
def test_what_is_no_manifest(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(ArchiveError, match="not a manifest"):
        Manifest.read(tmp_path)
