"""The official files: the register, and how they are fetched (against a loopback server)."""

import hashlib
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.benchmark_files import epic_sounds, settings_for, sound_row
from support.real_data import real_data

from assets.benchmarks import ego_mcq, epic_mir
from assets.benchmarks import epic_sounds as epic_sounds_adapter
from assets.benchmarks.adapters import check_sources, read_annotations
from assets.descriptions.assets import few_shot_examples
from assets.descriptions.few_shot import AUDIOCAPS_COLUMNS, KINETICS_COLUMNS
from resources import downloads, sources
from resources.config_file import load_settings
from resources.downloads import DownloadError, download
from resources.settings import OFFICIAL_POOL, PROJECT_ROOT
from resources.sources import SOURCES, Source, SourceError, ensure, source_at
from resources.table_assets.stage import Stage

CONTENT = bytes(range(256)) * 4096
CLOTHO = "clotho/clotho_captions_evaluation.csv"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `faults` are taken one a request: a status, `cut`, `wrong`, `slow`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.ranges = [], []
        self.content = CONTENT
        self.knows_ranges = True
        self.url = f"http://127.0.0.1:{self.server_port}/file.csv"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        fault = self.server.faults.pop(0) if self.server.faults else None
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if isinstance(fault, int):
            self.send_error(fault)
            return
        if fault == "slow":
            time.sleep(1.0)
        content = self.server.content if fault != "wrong" else b"x" * len(CONTENT)
        start = 0
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + (len(content) - start) // 2 if fault == "cut" else len(content)
        try:
            self.wfile.write(content[start:end])
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once_with_progress(server, tmp_path):
    seen = []
    target = tmp_path / "deep" / "file.csv"
    for _ in range(2):
        path = download(server.url, target, DIGEST, lambda here, of: seen.append((here, of)))
        assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(here for here, _ in seen) == [here for here, _ in seen]
    assert not list(tmp_path.rglob("*.part"))


def test_a_download_that_is_cut_off_goes_on_where_it_was(server, tmp_path):
    server.faults = ["cut", "cut"]
    seen = []
    download(server.url, tmp_path / "a", DIGEST, lambda here, of: seen.append((here, of)))
    assert (tmp_path / "a").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_later_session_goes_on_too(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    download(server.url, tmp_path / "a", DIGEST)
    assert server.ranges == ["bytes=1000-"]


def test_a_complete_part_needs_nothing_more(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "a", DIGEST)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.knows_ranges = False
    server.faults = ["cut"]
    download(server.url, tmp_path / "a", DIGEST)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"?" * 1000)
    download(server.url, tmp_path / "a", DIGEST)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_wrong_content_is_never_kept(server, tmp_path):
    server.content = b"something else"
    with pytest.raises(DownloadError, match=f"not {DIGEST.partition(':')[2]}") as error:
        download(server.url, tmp_path / "a", DIGEST)
    assert str(tmp_path / "a") in str(error.value)
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "a.part").exists()


def test_md5_is_a_digest_too(server, tmp_path):
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert download(server.url, tmp_path / "a", f"md5:{md5}").exists()
    with pytest.raises(DownloadError, match="its md5 is"):
        download(server.url, tmp_path / "b", "md5:0")


PAIRS = b"label,youtube_id,time_start,time_end,split\nsawing wood,aa,0,10,train\n"
COLUMNS = ("label", "youtube_id", "time_start", "time_end")


def test_a_file_without_a_digest_is_known_by_its_header(server, tmp_path):
    server.content = PAIRS
    download(server.url, tmp_path / "a", None, columns=COLUMNS)
    assert (tmp_path / "a").read_bytes() == PAIRS
    for wrong in (b"<html>\n<body>Try later</body>", PAIRS.replace(b"label,", b""), b"", b'"\n'):
        server.content = wrong
        with pytest.raises(DownloadError, match="has no column label") as error:
            download(server.url, tmp_path / "b", None, columns=COLUMNS)
        assert str(tmp_path / "b") in str(error.value)
        assert not (tmp_path / "b").exists()
        assert not (tmp_path / "b.part").exists()


def test_a_file_without_a_digest_is_never_put_together_from_two(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"label,youtube_id,time_start,time_end,split\nold,")
    server.content = PAIRS
    server.faults = ["cut"]
    download(server.url, tmp_path / "a", None, columns=COLUMNS)
    assert (tmp_path / "a").read_bytes() == PAIRS
    assert server.ranges == [None, None]


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.faults = [404]
    with pytest.raises(DownloadError, match="the server answers 404") as error:
        download(server.url, tmp_path / "a", DIGEST)
    assert server.ranges == [None]
    assert "put it at" in str(error.value)


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.faults = [503, 500]
    download(server.url, tmp_path / "a", DIGEST)
    server.faults = [503] * downloads.ATTEMPTS
    with pytest.raises(DownloadError, match="4 attempts failed: the server answers 503"):
        download(server.url, tmp_path / "b", DIGEST)


def test_a_silent_server_is_given_up_and_asked_again(server, tmp_path):
    server.faults = ["slow"]
    download(server.url, tmp_path / "a", DIGEST, timeout_s=0.2)
    assert len(server.ranges) == 2


def test_a_full_disk_is_named(server, tmp_path):
    (tmp_path / "a.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="can't be written: No space left on device") as error:
        download(server.url, tmp_path / "a", DIGEST)
    assert str(tmp_path / "a") in str(error.value)


def test_nobody_listening(tmp_path):
    with pytest.raises(DownloadError, match="ConnectError"):
        download("http://127.0.0.1:9/file.csv", tmp_path / "a", DIGEST)


def test_two_at_once_fetch_once(server, tmp_path):
    server.faults = ["cut"]
    threads = [
        threading.Thread(target=download, args=(server.url, tmp_path / "a", DIGEST))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.ranges) == 2
    assert (tmp_path / "a").read_bytes() == CONTENT


# ------------------------------------------------------------------------------ the register


def test_every_entry_says_what_a_user_needs():
    assert len({source.path for source in SOURCES}) == len(SOURCES)
    for source in SOURCES:
        assert source.licence
        assert (source.url is None) == bool(source.how)
        if source.url and "raw.githubusercontent.com" in source.url:
            commit = source.url.split("/")[5]
            assert len(commit) == 40
            assert source.digest.startswith("sha256:")


def test_the_adapters_read_columns_that_the_official_files_have():
    columns = {source.path.rpartition("/")[2]: set(source.columns) for source in SOURCES}
    assert set(epic_mir.CLIP_FILE_COLUMNS) <= columns["EPIC_100_retrieval_test.csv"]
    assert set(epic_mir.SENTENCE_FILE_COLUMNS) <= columns["EPIC_100_retrieval_test_sentence.csv"]
    assert set(epic_sounds_adapter.COLUMNS) <= columns["EPIC_Sounds_validation.csv"]
    assert ego_mcq.OPTIONS == 5


def test_every_list_of_the_official_pool_has_the_columns_that_its_join_reads():
    columns = {source.path: set(source.columns) for source in SOURCES}
    for name, read in (("audiocaps", AUDIOCAPS_COLUMNS), ("kinetics", KINETICS_COLUMNS)):
        for path in OFFICIAL_POOL[name]:
            assert set(read) <= columns[path]
    # Kinetics publishes its test list without labels.
    assert not any("kinetics" in path and "test" in path for path in columns)


def test_an_official_list_that_is_none_is_refused(server, tmp_path, monkeypatch):
    server.content = b"youtube_id,time_start,time_end,split\naa,0,10,train\n"
    entry = replace(
        next(source for source in SOURCES if source.path == "kinetics_700_2020/train.csv"),
        url=server.url,
    )
    monkeypatch.setattr(sources, "SOURCES", (entry,))
    with pytest.raises(DownloadError, match="has no column label"):
        ensure(tmp_path / "sources" / entry.path, tmp_path)


def test_the_pool_has_the_same_version_before_and_after_it_is_fetched(
    server, tmp_path, monkeypatch
):
    """Else the table would be made twice of the same files."""
    server.content = b"label,youtube_id,time_start,time_end,start_time,caption\n"
    paths = [path for named in OFFICIAL_POOL.values() for path in named]
    listed = tuple(Source(path, server.url, None, "ours") for path in paths)
    monkeypatch.setattr(sources, "SOURCES", listed)
    official = {"audiocaps": "official", "kinetics": "official"}
    settings = settings_for(tmp_path, {"epic_mir": {}}, few_shot=official)
    first = few_shot_examples.version(Stage(settings, ""))
    assert len(server.ranges) == len(paths)
    assert few_shot_examples.version(Stage(settings, "")) == first


def test_a_config_without_paths_uses_the_official_files(tmp_path):
    settings = settings_for(
        tmp_path,
        {"epic_mir": {}, "epic_sounds": {}, "ego_mcq": {}},
        few_shot={"audiocaps": "official", "kinetics": "official"},
    )
    folder = tmp_path / "cache" / "sources"
    mir, sounds, mcq = (
        settings.benchmarks[name] for name in ("epic_mir", "epic_sounds", "ego_mcq")
    )
    files = [*settings.few_shot.audiocaps, *settings.few_shot.kinetics]
    files += [mir.clips, mir.sentences, sounds.segments, mcq.questions]
    named = {path.relative_to(folder).as_posix() for path in files}
    assert named | {CLOTHO} == {source.path for source in SOURCES}


def test_the_config_for_clotho_asks_for_the_official_captions(monkeypatch):
    monkeypatch.setenv("CLOTHO", "/data/clotho")
    settings = load_settings(PROJECT_ROOT / "configs" / "clotho.yaml")
    clotho = settings.benchmarks["clotho"]
    assert source_at(clotho.clips, settings.cache_dir).path == CLOTHO
    names = {clotho.columns.clip_id, clotho.columns.media, *clotho.texts}
    assert names <= set(source_at(clotho.clips, settings.cache_dir).columns)


def test_a_benchmark_is_read_from_what_was_fetched(server, tmp_path, monkeypatch):
    table = epic_sounds(tmp_path, [sound_row("P01_11_0")])["segments"]
    server.content = Path(table).read_bytes()
    digest = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    entry = Source("epic_sounds/EPIC_Sounds_validation.csv", server.url, digest, "ours")
    monkeypatch.setattr(sources, "SOURCES", (entry,))
    settings = settings_for(tmp_path, {"epic_sounds": {}})
    assert len(read_annotations(settings, "epic_sounds").clips) == 1
    assert len(read_annotations(settings, "epic_sounds").clips) == 1
    assert server.ranges == [None]


def test_what_needs_a_licence_says_where_to_ask(tmp_path):
    settings = settings_for(tmp_path, {"ego_mcq": {}})
    (problem,) = check_sources(settings)
    assert "Ego4D licence" in problem
    assert "ego4ddataset.com" in problem
    assert str(tmp_path / "cache" / "sources" / "ego4d" / "egomcq.json") in problem


def test_a_path_of_ones_own_is_left_alone(tmp_path):
    own = tmp_path / "EPIC_Sounds_validation.csv"
    assert ensure(own, tmp_path / "cache") == own
    with pytest.raises(SourceError):
        ensure(tmp_path / "cache" / "sources" / "ego4d" / "egomcq.json", tmp_path / "cache")


@pytest.mark.real_data
def test_the_digests_are_those_of_the_official_files():
    places = {
        "epic_kitchens_100/": real_data("epic_kitchens_100", "retrieval_annotations"),
        "epic_sounds/": real_data("epic_sounds"),
        "audiocaps/": real_data("audiocaps"),
    }
    checked = 0
    for source in SOURCES:
        for prefix, folder in places.items():
            if source.path.startswith(prefix):
                content = (folder / source.path.removeprefix(prefix)).read_bytes()
                assert source.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
                header = content.splitlines()[0].decode().split(",")
                assert tuple(header) == source.columns
                checked += 1
    assert checked == 6
