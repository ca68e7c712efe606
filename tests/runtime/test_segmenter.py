"""The segmenter: what comes in, what goes out, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime import CancelledError, ImageError, Limits, PostProcessing, Segmenter
from brainseg_runtime.errors import BundleError, BundleMissingError, ContractError, DigestMismatchError, ProviderError
from brainseg_runtime.inference.providers import auto_candidates
from tests.runtime.inference.pretended import installed
from tests.runtime.onnx_bytes import brightest_channel
from tests.runtime.tiny import TINY, copy_tiny, digest_of, edit_manifest, replace_file, slice_image


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    """The tiny bundle on the provider that is always there."""
    return Segmenter.load(TINY, provider="cpu", variant="fp32", threads=1)


class TestLoad:
    """What may be loaded, and what is said of it."""

    def test_info_names_what_is_in_use(self) -> None:
        info = Segmenter.load(TINY, provider="cpu", variant="int8", threads=2).info
        assert (info.provider, info.variant, info.threads, info.same_bits) == ("cpu", "int8", 2, True)
        assert info.provenance.bundle_digest == digest_of(TINY)
        assert (info.provenance.model, info.provenance.threshold) == ("tiny 1.0.0", 0.5)
        assert "provider cpu: requested" in info.reasons
        assert info.versions["onnxruntime"]

    def test_auto_never_fails_and_tells(self) -> None:
        info = Segmenter.load(TINY).info
        assert info.reasons
        assert info.provider in {"cpu", *(provider.name for provider in auto_candidates())}

    def test_auto_falls_back_from_a_provider_that_does_not_work_and_a_named_one_does_not(self) -> None:
        broken = {"openvino": "the plug-in is broken"}
        with installed(["cpu", "openvino"], faults=broken):
            fallen = Segmenter.load(TINY, variant="int8")
            on_cpu = Segmenter.load(TINY, variant="int8", provider="cpu")
            with pytest.raises(ProviderError, match="broken"):
                Segmenter.load(TINY, variant="int8", provider="openvino")
        assert fallen.info.provider == "cpu"
        assert "not openvino: the plug-in is broken" in fallen.info.reasons
        assert fallen.info.same_bits is on_cpu.info.same_bits is True
        np.testing.assert_array_equal(
            fallen.predict(slice_image()).probability, on_cpu.predict(slice_image()).probability
        )

    def test_the_pinned_digest_is_needed(self) -> None:
        assert Segmenter.load(TINY, digest=digest_of(TINY), provider="cpu").info.provider == "cpu"
        with pytest.raises(DigestMismatchError):
            Segmenter.load(TINY, digest="0" * 64)
        with pytest.raises(DigestMismatchError, match="not a SHA-256; expected 64 hexadecimal digits; got 'abc'"):
            Segmenter.load(TINY, digest="abc")

    def test_an_unused_variant_is_verified_too(self, tmp_path: Path) -> None:
        bundle = copy_tiny(tmp_path)
        (bundle / "model.int8.onnx").write_bytes(b"changed")
        with pytest.raises(BundleError, match="int8"):
            Segmenter.load(bundle, variant="fp32", provider="cpu")

    def test_nothing_is_read_after_loading(self, tmp_path: Path) -> None:
        bundle = copy_tiny(tmp_path)
        loaded = Segmenter.load(bundle, provider="cpu")
        before = loaded.predict(slice_image()).probability
        for path in bundle.iterdir():
            path.write_bytes(b"gone")
        np.testing.assert_array_equal(loaded.predict(slice_image()).probability, before)

    @pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 1000])
    def test_threads_are_a_sane_number(self, threads: Any) -> None:  # noqa: ANN401 - wrong on purpose
        with pytest.raises(ValueError, match="threads"):
            Segmenter.load(TINY, threads=threads)

    def test_a_whole_bundle_around_a_foreign_model_is_refused(self, tmp_path: Path) -> None:
        bundle = copy_tiny(tmp_path)
        replace_file(bundle, "model.onnx", b"no model at all")
        with pytest.raises(ContractError):
            Segmenter.load(bundle, variant="fp32", provider="cpu")

    def test_a_bare_file_is_refused_unless_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_bytes(brightest_channel())
        with pytest.raises(BundleMissingError):
            Segmenter.load(tmp_path / "m.onnx")
        loaded = Segmenter.load_unsealed(tmp_path / "m.onnx")
        result = loaded.predict(slice_image())
        assert result.warnings == ("unsealed model: nothing vouches for it",)
        assert (result.provenance.bundle_digest, result.provenance.threshold) == (None, None)

    def test_a_named_provider_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(ProviderError):
            Segmenter.load(TINY, provider="tensorrt")


def views() -> dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]:
    """Equal pixels in other layouts."""
    return {
        "fortran": np.asfortranarray,
        "channels first in memory": lambda i: np.ascontiguousarray(i.transpose(2, 0, 1)).transpose(1, 2, 0),
        "every other pixel of a larger one": lambda i: i.repeat(2, 0).repeat(2, 1)[::2, ::2],
        "backwards": lambda i: np.ascontiguousarray(i[::-1, ::-1])[::-1, ::-1],
        "a window": lambda i: np.pad(i, ((3, 5), (2, 1), (0, 0)))[3:-5, 2:-1],
        "broadcast rows": lambda i: np.broadcast_to(i[:1], i.shape),
        "a subclass": lambda i: i.view(np.recarray),
    }


class TestPredict:
    """One slice."""

    def test_the_result_fits_the_slice(self, segmenter: Segmenter) -> None:
        image = slice_image(40, 56)
        result = segmenter.predict(image)
        assert result.mask.shape == result.probability.shape == (40, 56)
        assert (str(result.mask.dtype), str(result.probability.dtype)) == ("uint8", "float32")
        assert set(np.unique(result.mask)) == {0, 1}
        np.testing.assert_array_equal(result.mask, result.probability >= 0.5)
        assert result.area == result.mask.sum()
        assert 0 < result.timing.inference <= result.timing.total
        assert (result.provider, result.variant) == ("cpu", "fp32")

    def test_the_bright_disk_is_found(self, segmenter: Segmenter) -> None:
        result = segmenter.predict(slice_image(96, 96))
        rows, columns = np.mgrid[:96, :96]
        disk = np.hypot(rows - 48, columns - 48) < 0.15 * 96
        overlap = 2 * (result.mask & disk).sum() / (result.mask.sum() + disk.sum())
        assert overlap > 0.9

    def test_the_result_belongs_to_the_caller(self, segmenter: Segmenter) -> None:
        first = segmenter.predict(slice_image())
        copy = first.probability.copy()
        first.mask[:] = 9
        segmenter.predict(slice_image(seed=1))
        np.testing.assert_array_equal(first.probability, copy)
        assert first.mask.flags.writeable
        with pytest.raises(dataclasses.FrozenInstanceError):
            first.area = 3  # type: ignore[misc]

    @pytest.mark.parametrize("layout", sorted(views()))
    def test_any_layout_gives_the_same(self, segmenter: Segmenter, layout: str) -> None:
        image = views()[layout](slice_image())
        image.flags.writeable = False
        before = image.tobytes()
        result = segmenter.predict(image)
        np.testing.assert_array_equal(result.probability, segmenter.predict(np.array(image, order="C")).probability)
        assert image.tobytes() == before

    @pytest.mark.parametrize("size", [(16, 16), (16, 2048), (17, 19), (2048, 16), (255, 257)])
    def test_any_size_within_the_limits(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        assert segmenter.predict(slice_image(*size)).mask.shape == size

    @pytest.mark.parametrize(
        "image",
        [
            slice_image().astype(np.float32),
            slice_image().astype(np.float64) / 255,
            np.full((40, 40, 3), np.nan),
            slice_image().astype(np.int16),
            slice_image().astype(np.uint16),
            slice_image() > 100,
            slice_image()[..., 0],
            slice_image()[..., :2],
            np.zeros((40, 40, 4), np.uint8),
            np.zeros((3, 40, 40), np.uint8),
            np.zeros((1, 40, 40, 3), np.uint8),
            np.zeros((0, 40, 3), np.uint8),
            np.zeros((40, 0, 3), np.uint8),
            np.zeros((15, 40, 3), np.uint8),
            np.zeros((16, 2049, 3), np.uint8),
            np.zeros((), np.uint8),
            np.ma.masked_array(slice_image(), mask=True),
            slice_image().tolist(),
            slice_image().tobytes(),
            None,
            "image.tif",
        ],
        ids=lambda image: f"{type(image).__name__}-{getattr(image, 'dtype', '')}-{getattr(image, 'shape', '')}",
    )
    def test_anything_else_is_an_error_that_says_what_was_expected(self, segmenter: Segmenter, image: Any) -> None:  # noqa: ANN401 - wrong on purpose
        with pytest.raises(ImageError, match=r"\(H, W, 3\) uint8, H and W from 16 to 2048"):
            segmenter.predict(image)

    def test_limits_can_be_lowered(self, tmp_path: Path) -> None:
        low = Segmenter.load(TINY, provider="cpu", limits=Limits(max_side=64, max_batch=2))
        with pytest.raises(ImageError, match="16 to 64"):
            low.predict(slice_image(65, 64))
        with pytest.raises(ImageError, match="1 to 2"):
            low.predict_batch([slice_image()] * 3)
        bundle = copy_tiny(tmp_path)
        edit_manifest(bundle, lambda value: value["contract"]["limits"].update(min_side=50))
        with pytest.raises(ImageError, match="50 to 2048"):
            Segmenter.load(bundle, provider="cpu").predict(slice_image(40, 56))

    def test_the_guard_warns_and_with_strict_refuses(self, segmenter: Segmenter) -> None:
        blank = np.zeros((40, 40, 3), np.uint8)
        assert segmenter.predict(blank).warnings == ("blank slice: every pixel is the same",)
        with pytest.raises(ImageError, match="blank slice"):
            segmenter.predict(blank, strict=True)

    def test_a_bundle_that_squeezes_says_so_of_an_image_that_is_not_square(self, segmenter: Segmenter) -> None:
        (warning,) = segmenter.predict(slice_image(40, 56)).warnings
        assert warning.startswith("squeezed slice: 40x56 is not square")
        assert segmenter.predict(slice_image(40, 40)).warnings == ()
        with pytest.raises(ImageError, match="squeezed slice"):
            segmenter.predict(slice_image(56, 40), strict=True)

    def test_a_bundle_that_keeps_proportions_takes_any_image_without_a_warning(self, tmp_path: Path) -> None:
        bundle = copy_tiny(tmp_path)
        edit_manifest(bundle, lambda value: value["training"].update(aspect_ratio="kept: as if zeros made it square"))
        assert Segmenter.load(bundle, provider="cpu").predict(slice_image(40, 56), strict=True).warnings == ()


class TestSeries:
    """Batches and volumes."""

    def test_a_batch_may_mix_sizes_and_keeps_its_order(self, segmenter: Segmenter) -> None:
        images = [slice_image(40, 56, 1), slice_image(64, 32, 2), slice_image(40, 56, 3)]
        for image, result in zip(images, segmenter.predict_batch(images), strict=True):
            np.testing.assert_array_equal(result.probability, segmenter.predict(image).probability)

    @pytest.mark.parametrize("images", [[], np.zeros((0, 40, 40, 3), np.uint8), [slice_image()] * 65])
    def test_a_batch_has_one_to_sixty_four_images(self, segmenter: Segmenter, images: Any) -> None:  # noqa: ANN401 - two kinds
        with pytest.raises(ImageError, match="1 to 64 images"):
            segmenter.predict_batch(images)

    @pytest.mark.parametrize("images", [slice_image(), 5, None, "ab", b"ab", {1: 2}, iter([slice_image()])])
    def test_what_is_no_series_is_an_error(self, segmenter: Segmenter, images: Any) -> None:  # noqa: ANN401 - wrong on purpose
        for method in (segmenter.predict_batch, segmenter.predict_volume):
            with pytest.raises(ImageError):
                method(images)

    def test_a_volume_is_its_slices(self, segmenter: Segmenter) -> None:
        slices = np.stack([slice_image(seed=seed) for seed in range(5)])
        slices[2] = 0
        volume = segmenter.predict_volume(slices)
        single = [segmenter.predict(one) for one in slices]
        np.testing.assert_array_equal(volume.probability, [one.probability for one in single])
        np.testing.assert_array_equal(volume.mask, [one.mask for one in single])
        assert volume.areas == tuple(one.area for one in single)
        assert volume.volume == sum(volume.areas)
        assert dict(volume.warnings) == {number: one.warnings for number, one in enumerate(single)}
        blank = "blank slice: every pixel is the same"
        assert [number for number, reasons in volume.warnings.items() if blank in reasons] == [2]
        assert (volume.postprocessing, volume.removed_pixels) == (None, 0)

    def test_more_slices_than_a_batch_holds(self, segmenter: Segmenter) -> None:
        assert segmenter.predict_volume(np.stack([slice_image(16, 16)] * 70)).mask.shape == (70, 16, 16)

    def test_progress_is_told_before_and_after_each(self, segmenter: Segmenter) -> None:
        told: list[tuple[int, int]] = []
        segmenter.predict_volume([slice_image()] * 3, progress=lambda done, count: told.append((done, count)))
        assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def test_a_cancelled_volume_gives_nothing(self, segmenter: Segmenter) -> None:
        done: list[int] = []
        with pytest.raises(CancelledError, match="2 of 4"):
            segmenter.predict_volume(
                [slice_image()] * 4, progress=lambda n, _: done.append(n), cancel=lambda: len(done) > 2
            )

    def test_an_error_in_the_callers_own_code_comes_through(self, segmenter: Segmenter) -> None:
        def broken(_done: int, _count: int) -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            segmenter.predict_volume([slice_image()], progress=broken)

    def test_slices_of_different_sizes_are_no_volume(self, segmenter: Segmenter) -> None:
        with pytest.raises(ImageError, match="differ in size"):
            segmenter.predict_volume([slice_image(40, 56), slice_image(56, 40)])

    def test_an_empty_volume_is_an_error(self, segmenter: Segmenter) -> None:
        with pytest.raises(ImageError, match="empty"):
            segmenter.predict_volume([])

    def test_post_processing_changes_masks_alone_and_is_recorded(self, segmenter: Segmenter) -> None:
        slices = np.stack([slice_image(64, 64, seed) for seed in range(3)])
        slices[0, 12:20, 28:36] = (90, 185, 135)  # a second, smaller bright spot, on one slice
        plain = segmenter.predict_volume(slices)
        kept = PostProcessing(largest_component=True)
        volume = segmenter.predict_volume(slices, postprocessing=kept)
        np.testing.assert_array_equal(volume.probability, plain.probability)
        np.testing.assert_array_equal(volume.mask, kept.apply(plain.mask))
        assert volume.postprocessing == kept
        assert volume.removed_pixels == plain.volume - volume.volume > 0

    def test_strict_refuses_a_volume_with_a_slice_to_distrust(self, segmenter: Segmenter) -> None:
        with pytest.raises(ImageError, match="blank"):
            segmenter.predict_volume([slice_image(40, 40), np.zeros((40, 40, 3), np.uint8)], strict=True)
