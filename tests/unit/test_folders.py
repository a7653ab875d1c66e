"""Folders on disk and in an object store: whole files, seen as they were until replaced."""

import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import fs
from support.s3 import s3_server
from support.sample_project import sample_project

from resources.config_file import SettingsError, load_settings
from resources.folders import FolderError, _connect, open_folder
from resources.lake import Lake, Stamp
from resources.table_model import TableError
from resources.tables import CLIPS, PROMPTS
from resources.vector_store import VectorStore

FINGERPRINT = "f" * 64
ROW = {
    "variant": "v", "purpose": "describe", "model": "m", "parameters": "{}", "template": "t",
    "template_hash": "h", "examples": [], "file": "f",
}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with s3_server() as running:
        yield running


@pytest.fixture(params=["disk", "s3"])
def address(request, tmp_path):
    """Where a folder lies, empty for each test."""
    if request.param == "s3":
        return request.getfixturevalue("server").url(f"tests/{tmp_path.name}")
    return tmp_path / "folder"


def put(folder, name, content):
    folder.write(name, lambda file: file.write(content))


def content(folder, name):
    return folder.read(name, content_of)


def content_of(file):
    return file.read_bytes() if hasattr(file, "read_bytes") else file.read()


def test_a_file_is_there_whole_is_replaced_and_removed(address):
    folder = open_folder(address)
    assert folder.sizes("sub") == {}
    assert folder.state("sub/a") is None
    folder.remove("sub/a")
    put(folder, "sub/a", b"old")
    old = folder.state("sub/a")
    put(folder, "sub/a", b"new!")
    assert folder.state("sub/a") not in (None, old)
    assert (folder.sizes("sub"), content(folder, "sub/a")) == ({"a": 4}, b"new!")
    assert folder.within("sub").sizes() == {"a": 4}
    folder.remove("sub/a")
    assert folder.sizes("sub") == {}


def test_what_fails_while_it_is_made_leaves_the_old_one(address):
    folder = open_folder(address)
    put(folder, "a", b"old")

    def fail(file):
        file.write(b"half of the ")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write("a", fail)
    assert (content(folder, "a"), folder.sizes()) == (b"old", {"a": 3})


def test_a_table_is_written_read_and_stamped(address):
    lake = Lake(address)
    assert (lake.stamp(PROMPTS), lake.holds(PROMPTS), lake.benchmarks(CLIPS)) == (None, False, [])
    with pytest.raises(TableError, match="is not there yet: materialize `prompts` first"):
        lake.read(PROMPTS)
    frame = PROMPTS.frame([ROW])
    lake.write(PROMPTS, frame, stamp=Stamp("one", "two"))
    assert (lake.stamp(PROMPTS), lake.holds(PROMPTS)) == (Stamp("one", "two"), True)
    assert lake.read(PROMPTS).equals(frame)
    lake.write(CLIPS, CLIPS.frame([]), "mine")
    assert lake.benchmarks(CLIPS) == ["mine"]


def test_a_table_appears_by_one_put(server, tmp_path):
    server.requests.clear()
    Lake(server.url(tmp_path.name)).write(PROMPTS, PROMPTS.frame([ROW]))
    (put_,) = [line for line in server.requests if not line.startswith("HEAD")]
    assert put_.startswith(f"PUT /bucket/{tmp_path.name}/prompts/all.parquet ")


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew(server, tmp_path):
    folder = open_folder(server.url(tmp_path.name))
    put(folder, "a", b"old")
    tries = []

    def read(file):
        tries.append(file.read(1))
        if len(tries) == 1:
            put(folder, "a", b"new")
        return tries[-1] + file.read()

    assert folder.read("a", read) == b"new"
    with pytest.raises(FileNotFoundError):
        folder.read("a", lambda file: (folder.remove("a"), file.read()) and file.read_at(9, 0))


def first_byte(file):
    return content_of(file)[:1]


def test_a_glance_sees_what_is_there_now(address):
    folder = open_folder(address)
    for written in (b"old", b"new", b"new", b"old"):
        put(folder, "a", written)
        assert [folder.glance("a", first_byte) for _ in range(2)] == [written[:1]] * 2
    folder.remove("a")
    with pytest.raises(FileNotFoundError):
        folder.glance("a", first_byte)


def test_a_glance_at_what_was_seen_is_one_request(server, tmp_path):
    lake = Lake(server.url(f"tests/{tmp_path.name}"))
    lake.write(PROMPTS, PROMPTS.frame([ROW]), None, Stamp("1", "a"))
    assert lake.stamp(PROMPTS) == Stamp("1", "a")
    server.requests.clear()
    assert Lake(lake.root).stamp(PROMPTS) == Stamp("1", "a")
    assert [line.split()[0] for line in server.requests] == ["HEAD"]
    lake.write(PROMPTS, PROMPTS.frame([ROW]), None, Stamp("2", "a"))
    assert lake.stamp(PROMPTS) == Stamp("2", "a")


def test_a_server_that_stops_in_the_middle_leaves_the_old_table(server, tmp_path):
    lake = Lake(server.url(tmp_path.name))
    lake.write(PROMPTS, PROMPTS.frame([ROW]), stamp=Stamp("old", ""))
    server.cut_at = b"PUT "
    try:
        with pytest.raises(FolderError, match=r"prompts/all.parquet: the store can't be used"):
            lake.write(PROMPTS, PROMPTS.frame([{**ROW, "model": "n"}]), stamp=Stamp("new", ""))
        assert server.is_cut
    finally:
        server.mend()
    assert (lake.stamp(PROMPTS).data_version, lake.read(PROMPTS)["model"][0]) == ("old", "m")
    lake.write(PROMPTS, PROMPTS.frame([{**ROW, "model": "n"}]), stamp=Stamp("new", ""))
    assert lake.read(PROMPTS)["model"][0] == "n"


def vectors_of(keys):
    numbers = np.array([int(key.removeprefix("key")) for key in keys], np.float32)
    return np.stack([numbers, numbers + 0.5], axis=1)


def add_all(address, keys):
    store = VectorStore(address, FINGERPRINT)
    for key in keys:
        store.add([key], vectors_of([key]))
        assert store.known([key]) == {key}


@pytest.mark.slow
def test_two_processes_add_vectors_and_merge_at_once(address):
    keys = [f"key{number}" for number in range(60)]
    context = multiprocessing.get_context("spawn")
    spans = (keys[:40], keys[20:])
    processes = [context.Process(target=add_all, args=(address, span)) for span in spans]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    store = VectorStore(address, FINGERPRINT)
    found = store.read(keys)
    np.testing.assert_array_equal(np.stack([found[key] for key in keys]), vectors_of(keys))
    assert len(store.folder.sizes()) < 64


def test_a_store_is_opened_as_its_url_says():
    url = "s3://bucket/p?region=eu-west-1&allow_bucket_creation=false&smart_defaults=legacy"
    _, (options,) = _connect(url)[0].__reduce__()
    assert options["region"] == "eu-west-1"
    assert (options["allow_bucket_creation"], options["allow_delayed_open"]) == (False, True)


def test_a_region_that_the_store_told_by_itself_is_kept(monkeypatch):
    found = fs.S3FileSystem(region="eu-west-3", access_key="a", secret_key="b")
    asked = []
    store = SimpleNamespace(from_uri=lambda url: asked.append(url) or (found, "elsewhere/p"))
    monkeypatch.setattr(fs, "FileSystem", store)
    assert _connect("s3://elsewhere/p") == (found, "elsewhere/p")
    assert asked == ["s3://elsewhere/p?allow_delayed_open=true"]


@pytest.mark.parametrize("key", ["lake", "vectors"])
@pytest.mark.parametrize(
    "url",
    [
        "s3://me:my-secret@bucket/lake",
        "s3://bucket/lake?secret_key=my-secret",
        "abfs://c@acc.dfs.core.windows.net/x?client_id=c&client_secret=my-secret",
        "abfs://c@acc.dfs.core.windows.net/x?sv=2024-01-01&sig=my-secret",
    ],
)
def test_a_config_takes_no_key(tmp_path, key, url):
    config = tmp_path / "mine.yaml"
    config.write_text(f"{key}: {url}\n")
    with pytest.raises(SettingsError, match=f"{key}: no key belongs in a file") as caught:
        load_settings(config)
    assert "my-secret" not in str(caught.value)


def test_a_config_takes_the_options_of_a_store_and_a_folder_as_a_url(tmp_path):
    config = sample_project(tmp_path / "project")
    given = "s3://bucket/lake?region=eu-west-1&scheme=http&endpoint_override=localhost:9000"
    others = config.read_text()
    config.write_text(f"{others}\nlake: {given}\nvectors: file:///shared%20disk/vectors\n")
    settings = load_settings(config)
    assert settings.lake_dir == given
    assert settings.vectors_dir == Path("/shared disk/vectors")
    config.write_text(f"{others}\nlake: file:///shared/lake\n")
    lake = Lake(load_settings(config).lake_dir)
    assert not lake.is_remote
    assert lake.path(PROMPTS) == Path("/shared/lake/prompts/all.parquet")
