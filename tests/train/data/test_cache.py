"""The cache is used when it is of these very bytes and whole, and made again otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainseg_runtime.errors import DatasetError
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.slices import SliceFacts, SlicePixels, SliceRef, read_slices
from brainseg_train.errors import CacheError
from brainseg_train.models.pipeline import preprocess
from brainseg_train.phantom.patients import write_phantom

FILES = ("cache.json", "facts.npy", "images.npy", "masks.npy", "native_masks.npy")


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("cache") / "set", patients=2, seed=5, slices=(2, 2), side=48)


@pytest.fixture(scope="module")
def filled(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the set's entry."""
    folder = tmp_path_factory.mktemp("cache") / "filled"
    load_dataset(patients, cache=folder)
    return folder


@pytest.fixture
def cache(filled: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def content(dataset: DataSet) -> tuple[object, ...]:
    """All that a data set says, as plain values."""
    arrays = (dataset.images, dataset.masks, dataset.native_masks, dataset.image_digests, dataset.tumour_pixels)
    return dataset.digest, dataset.size, *(array.tobytes() for array in arrays)


def test_an_entry_holds_the_files_that_it_promises_and_nothing_else(filled: Path) -> None:
    (entry,) = entries(filled)
    assert sorted(path.name for path in entry.iterdir()) == list(FILES)


def test_a_second_opening_uses_the_first_ones_entry(patients: Path, cache: Path) -> None:
    (entry,) = entries(cache)
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in entry.iterdir()}
    load_dataset(patients, cache=cache)
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in entry.iterdir()} == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "empty"])
def test_a_damaged_entry_is_made_again(patients: Path, filled: Path, cache: Path, name: str, damage: str) -> None:
    (entry,) = entries(cache)
    path = entry / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "flipped":
        path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
    dataset = load_dataset(patients, cache=cache)
    assert content(dataset) == content(load_dataset(patients, cache=filled))
    assert path.read_bytes() == data
    assert entries(cache) == [entry]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_reaches_training(
    patients: Path, filled: Path, cache: Path, name: str, place: float, bit: int
) -> None:
    (entry,) = entries(cache)
    data = bytearray((entry / name).read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (entry / name).write_bytes(data)
    assert content(load_dataset(patients, cache=cache)) == content(load_dataset(patients, cache=filled))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("form", 0),
        ("key", "0" * 64),
        ("native_size", [48, 47]),
        ("native_size", [10**9, 10**9]),
        ("native_size", "48"),
        ("data_digest", "0" * 64),
        ("sha256", {}),
        ("surprise", 1),
    ],
)
def test_a_manifest_that_says_something_else_is_made_again(
    patients: Path, filled: Path, cache: Path, key: str, value: object
) -> None:
    (entry,) = entries(cache)
    manifest = json.loads((entry / "cache.json").read_text())
    (entry / "cache.json").write_text(json.dumps({**manifest, key: value}))
    assert content(load_dataset(patients, cache=cache)) == content(load_dataset(patients, cache=filled))
    assert json.loads((entry / "cache.json").read_text()) == manifest


def test_an_entry_of_other_pixels_under_the_right_name_is_made_again(patients: Path, filled: Path, cache: Path) -> None:
    other = write_phantom(cache.parent / "other", patients=2, seed=6, slices=(2, 2), side=48)
    load_dataset(other, cache=cache.parent / "other-cache")
    (entry,) = entries(cache)
    (foreign,) = entries(cache.parent / "other-cache")
    shutil.rmtree(entry)
    foreign.rename(entry)
    assert content(load_dataset(patients, cache=cache)) == content(load_dataset(patients, cache=filled))


def test_arrays_of_other_shapes_are_made_again_even_where_every_hash_agrees(
    patients: Path, filled: Path, cache: Path
) -> None:
    (entry,) = entries(cache)
    np.save(entry / "masks.npy", np.load(entry / "masks.npy")[:, :64])
    manifest = json.loads((entry / "cache.json").read_text())
    manifest["sha256"]["masks.npy"] = hashlib.sha256((entry / "masks.npy").read_bytes()).hexdigest()
    (entry / "cache.json").write_text(json.dumps(manifest))
    assert content(load_dataset(patients, cache=cache)) == content(load_dataset(patients, cache=filled))


def test_a_changed_pixel_finds_no_old_entry(patients: Path, cache: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(patients, tmp_path / "changed"))
    path = sorted(changed.glob("*/*_1.tif"))[0]
    stat = path.stat()
    pixels = tifffile.imread(path)
    pixels[24, 24, 1] ^= 255
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    dataset = load_dataset(changed, cache=cache)
    assert dataset.digest != load_dataset(patients, cache=cache).digest
    assert len(entries(cache)) == 2
    np.testing.assert_array_equal(dataset.native_image(0), pixels)


def test_a_moved_set_finds_its_entry(patients: Path, cache: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(patients, tmp_path / "elsewhere"))
    load_dataset(moved, cache=cache)
    assert len(entries(cache)) == 1


def test_a_changed_preprocessing_finds_no_old_entry(
    patients: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "brainseg_train.data.cache_entry.preprocess", lambda image, *, size: preprocess(image, size=size) * 0.9
    )
    load_dataset(patients, cache=cache)
    assert len(entries(cache)) == 2


def test_a_faulty_set_leaves_nothing_behind(patients: Path, tmp_path: Path) -> None:
    faulty = Path(shutil.copytree(patients, tmp_path / "faulty"))
    path = sorted(faulty.glob("*/*_1.tif"))[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=path.name):
        load_dataset(faulty, cache=tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="who may read everything sees no fault")
def test_a_file_that_may_not_be_read_is_named(patients: Path, tmp_path: Path) -> None:
    locked = Path(shutil.copytree(patients, tmp_path / "locked"))
    path = sorted(locked.glob("*/*_1.tif"))[0]
    path.chmod(0)
    with pytest.raises(DatasetError, match=path.name):
        load_dataset(locked, cache=tmp_path / "cache")


def test_a_file_that_goes_while_the_set_is_opened_is_named(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(_: Path, slices: Sequence[SliceRef]) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(slices[0].image))

    monkeypatch.setattr("brainseg_train.data.cache.entry_key", vanish)
    with pytest.raises(DatasetError, match=r"_1\.tif"):
        load_dataset(patients, cache=tmp_path / "cache")


def test_processes_that_fill_the_same_entry_at_once_agree(patients: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code = (
        "import sys; from pathlib import Path; from brainseg_train.data.dataset import load_dataset; input(); "
        "d = load_dataset(Path(sys.argv[1]), cache=Path(sys.argv[2])); print(d.digest, int(d.images.sum()))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(patients), str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:  # they have imported everything and wait: now all start together
        if process.stdin is not None:
            process.stdin.write("\n")
            process.stdin.flush()
    answers = {process.communicate(timeout=120)[0] for process in processes}
    dataset = load_dataset(patients, cache=cache)
    assert answers == {f"{dataset.digest} {int(dataset.images.sum())}\n"}
    assert len(entries(cache)) == 1


def test_an_entry_that_another_process_made_meanwhile_is_used(
    patients: Path, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def fill_and_be_overtaken(
        root: Path, slices: Sequence[SliceRef], visit: Callable[[int, SlicePixels], None], *, on_slice: None
    ) -> tuple[SliceFacts, ...]:
        facts = read_slices(root, slices, visit, on_slice=on_slice)
        shutil.copytree(entries(filled)[0], cache / entries(filled)[0].name)
        return facts

    monkeypatch.setattr("brainseg_train.data.cache_entry.read_slices", fill_and_be_overtaken)
    assert content(load_dataset(patients, cache=cache)) == content(load_dataset(patients, cache=filled))
    assert [path.name for path in entries(cache)] == [path.name for path in entries(filled)]


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_fills_is_not(patients: Path, cache: Path) -> None:
    dead, living = cache / ".0.dead.tmp", cache / ".0.living.tmp"
    dead.mkdir()
    (dead / "images.npy").write_bytes(b"half")
    living.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(dead, (long_ago, long_ago))
    load_dataset(patients, cache=cache)
    assert not dead.exists()
    assert living.exists()


def test_a_cache_folder_that_cannot_be_one_is_an_error_with_a_remedy(patients: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands here")
    with pytest.raises(CacheError, match="--cache") as caught:
        load_dataset(patients, cache=tmp_path / "cache")
    assert str(tmp_path / "cache") in str(caught.value)


def test_a_disk_that_fills_up_is_an_error_and_leaves_nothing(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brainseg_train.data.cache_entry._reserve", full)
    with pytest.raises(CacheError, match="No space left"):
        load_dataset(patients, cache=tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from brainseg_train.data.dataset import load_dataset
from brainseg_train.errors import CacheError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
if len(sys.argv) > 4:
    import os
    del os.posix_fallocate  # as on systems that cannot reserve
seen = []
try:
    load_dataset(Path(sys.argv[1]), cache=Path(sys.argv[2]), on_slice=lambda done, total: seen.append(done))
except CacheError as error:
    sys.stdout.write(f"{len(seen)} read; {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of a process's files")
@pytest.mark.parametrize("reserving", [True, False], ids=["reserved", "not reserved"])
def test_a_write_that_the_system_cuts_short_is_an_error_and_no_signal(
    patients: Path, tmp_path: Path, *, reserving: bool
) -> None:
    limit = 100_000  # bytes: the arrays of images are larger, everything else is smaller
    arguments = [str(patients), str(tmp_path / "cache"), str(limit), *([] if reserving else ["plain"])]
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_A_LIMIT, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no space for the resized slices" in done.stdout
    assert "--cache" in done.stdout
    assert str(tmp_path / "cache") in done.stdout
    if reserving:
        assert done.stdout.startswith("0 read"), "said before any slice was resized"
    assert entries(tmp_path / "cache") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KiB in memory, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this process may not mount a file system")
    yield folder
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True, capture_output=True)


def test_a_disk_that_is_too_small_says_how_much_is_needed(patients: Path, small_disk: Path) -> None:
    with pytest.raises(CacheError, match=r"MiB, 75 KiB for each of \d+ slices.*0 MiB free.*--cache"):
        load_dataset(patients, cache=small_disk / "cache")
    assert entries(small_disk / "cache") == []
