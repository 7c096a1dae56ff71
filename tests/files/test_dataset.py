"""Prepared data sets: a stratified, shuffled split with constants from the training part alone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core_tools import CLASSES, edited_copy, write_images
from ticketlens.files import dataset
from ticketlens.files.dataset import (
    channel_moments,
    normalise,
    open_prepared,
    prepare,
    read_part,
    split,
)
from ticketlens.files.image_folder import DatasetError
from ticketlens.files.sources import RawImages, folder


def raw_images(train_counts, test=3):
    """Return images whose pixels are their own running number."""
    labels = np.repeat(np.arange(len(train_counts)), train_counts)
    numbers = np.arange(len(labels) + test)
    images = (numbers[:, None, None, None] >> np.array([0, 8])).astype(np.uint8)
    test_labels = np.arange(test) % len(train_counts)
    classes = tuple(f"class{label}" for label in range(len(train_counts)))
    return RawImages(classes, images[: len(labels)], labels, images[len(labels) :], test_labels)


def numbers_of(part):
    images = part[0].astype(int)
    return images[:, 0, 0, 0] + 256 * images[:, 0, 0, 1]


COUNTS = st.lists(st.integers(10, 60), min_size=2, max_size=5)


# --- the split ---------------------------------------------------------------------------------


@given(COUNTS, st.integers(1, 20), st.integers(0, 9))
def test_every_image_lands_in_exactly_one_part_with_its_label(counts, validation, seed):
    raw = raw_images(counts)
    parts = split(raw, validation, seed)
    together = np.concatenate([numbers_of(parts[part]) for part in dataset.PARTS])
    assert np.array_equal(np.sort(together), np.arange(sum(counts) + 3))
    assert len(parts["validation"][1]) == validation
    labels = np.concatenate([raw.train_labels, raw.test_labels])
    for images, found in parts.values():
        assert np.array_equal(found, labels[numbers_of((images, found))])


@given(COUNTS, st.integers(1, 20), st.integers(0, 9))
def test_validation_is_stratified_as_equal_as_the_counts_allow(counts, validation, seed):
    parts = split(raw_images(counts), validation, seed)
    found = np.bincount(parts["validation"][1], minlength=len(counts))
    exact = np.array(counts) * validation / sum(counts)
    assert (np.abs(found - exact) < 1).all()


def test_balanced_classes_stay_balanced():
    parts = split(raw_images([100] * 10), validation=100, split_seed=0)
    assert np.bincount(parts["validation"][1]).tolist() == [10] * 10
    assert np.bincount(parts["train"][1]).tolist() == [90] * 10


def test_every_part_is_shuffled_and_the_seed_alone_decides_how():
    raw = raw_images([100] * 5, test=50)
    one, same, other = (split(raw, 50, seed) for seed in (0, 0, 1))
    for part in dataset.PARTS:
        numbers = numbers_of(one[part])
        assert np.array_equal(numbers, numbers_of(same[part]))
        assert not np.array_equal(numbers, numbers_of(other[part]))
        assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.4
        assert len(set(one[part][1][:20])) > 2  # never sorted by class


def test_training_on_validation_images_leaves_none_out_and_changes_no_other_part():
    raw = raw_images([100] * 5, test=50)
    apart, together = (split(raw, 50, 0, train_on_validation=flag) for flag in (False, True))
    assert sorted(numbers_of(together["train"])) == sorted(
        [*numbers_of(apart["train"]), *numbers_of(apart["validation"])]
    )
    assert len(together["train"][1]) == 500
    assert set(numbers_of(together["validation"])) == set(numbers_of(apart["validation"]))
    assert len(together["test"][1]) == 50


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (0, "dataset.validation is 0; allowed: at least 1"),
        (-3, "dataset.validation is -3"),
        (30, "dataset.validation is 30 of 30 training images; class 'class0' would have none left"),
        (29, "class 'class1' would have none left to train on"),
        (1000, "dataset.validation is 1000 of 30"),
    ],
)
def test_a_validation_part_that_leaves_nothing_is_refused(validation, message):
    with pytest.raises(DatasetError, match=message):
        split(raw_images([28, 2]), validation, 0)


# --- normalisation -----------------------------------------------------------------------------


def test_moments_are_those_of_the_training_part_alone(prepared):
    with h5py.File(prepared.path) as file:
        train = file["train/images"][()] / 255
        everything = np.concatenate([file[f"{part}/images"][()] for part in dataset.PARTS]) / 255
    assert np.allclose(prepared.mean, train.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(prepared.std, train.std(axis=(0, 1, 2)), rtol=1e-12)
    assert not np.allclose(prepared.mean, everything.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_read_images_are_normalised_channel_first_float32(prepared):
    images, labels = read_part(prepared, "train")
    with h5py.File(prepared.path) as file:
        pixels = file["train/images"][()]
    assert images.dtype == np.float32 and labels.dtype == np.int64
    expected = ((pixels / 255 - prepared.mean) / prepared.std).transpose(0, 3, 1, 2)
    assert np.allclose(images, expected, atol=1e-6)
    assert np.allclose(images.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(images.std(axis=(0, 2, 3)), 1, atol=1e-5)


@given(st.integers(1, 3), st.integers(0, 9))
def test_normalisation_is_the_formula_pixel_by_pixel(channels, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (4, 3, 5, channels), dtype=np.uint8)
    mean, std = rng.random(channels), 0.1 + rng.random(channels)
    expected = ((pixels / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    assert np.array_equal(normalise(pixels, mean, std), expected)
    found_mean, found_std = channel_moments(pixels)
    assert np.allclose(found_mean, (pixels / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(found_std, (pixels / 255).std(axis=(0, 1, 2)), rtol=1e-12)


def test_a_constant_channel_is_refused():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3), dtype=np.uint8)
    pixels[..., 1] = 7
    with pytest.raises(DatasetError, match="channel 1 of the training images is constant"):
        channel_moments(pixels)


# --- the prepared file -------------------------------------------------------------------------


def test_the_file_has_the_documented_layout(prepared):
    with h5py.File(prepared.path) as file:
        assert set(file) == {"train", "validation", "test"}
        for part, count in (("train", 96), ("validation", 24), ("test", 24)):
            assert file[f"{part}/images"].shape == (count, 6, 6, 3)
            assert file[f"{part}/images"].dtype == np.uint8
            assert file[f"{part}/labels"].dtype == np.int64
            assert np.bincount(file[f"{part}/labels"]).tolist() == [count // 3] * 3
            assert file[f"{part}/images"].fletcher32 and file[f"{part}/labels"].fletcher32
        assert tuple(file.attrs["classes"]) == CLASSES
        assert (file.attrs["name"], file.attrs["source"]) == ("tiny", "folder")
        assert len(file.attrs["sha256"]) == 64
        assert file.attrs["mean"].shape == file.attrs["std"].shape == (3,)


def test_opening_gives_the_identity_that_checkpoints_repeat(prepared, make_ticket):
    found = open_prepared(prepared.path)
    assert found.counts == {"train": 96, "validation": 24, "test": 24}
    assert (found.spec.name, found.spec.shape, found.spec.classes) == ("tiny", (6, 6, 3), 3)
    assert make_ticket().spec.dataset == found.spec
    assert found.sha256 in make_ticket().attrs["spec"]


def test_the_same_images_give_the_same_fingerprint_and_bytes_of_arrays(
    image_folder, prepared, tmp_path
):
    again = prepare(tmp_path / "again.h5", "tiny", "folder", image_folder, validation=24)
    assert again.sha256 == prepared.sha256
    assert np.array_equal(read_part(again, "train")[0], read_part(prepared, "train")[0])


def test_the_fingerprint_is_the_one_that_stored_tickets_belong_to(prepared):
    # Of 0.1.0. It covers the order of images and which are held out: both drawn from a seed.
    assert prepared.sha256 == "a52e893e23ef40141ea19d23e281c7de0bb6c1a0d20ba3b187343287018edbca"


def test_the_fingerprint_changes_with_every_content(tmp_path, monkeypatch):
    def digest(images, validation=3, seed=0):
        output = tmp_path / "prepared.h5"
        return prepare(output, "tiny", "folder", images, validation, seed).sha256

    images = write_images(tmp_path / "images")
    found = [digest(images), digest(images, validation=6), digest(images, seed=1)]
    path = images / "test" / "cat" / "1.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    found.append(digest(images))
    for part in ("train", "test"):
        (images / part / "cat").rename(images / part / "cow")
    found.append(digest(images))
    (images / "train" / "ant" / "3.png").rename(images / "train" / "bee" / "4.png")
    found.append(digest(images))
    assert len(set(found)) == len(found)


def test_grey_images_keep_one_channel(tmp_path):
    images = write_images(tmp_path / "grey", mode="L")
    data = prepare(tmp_path / "grey.h5", "grey", "folder", images, validation=3)
    assert data.shape == (6, 6, 1) and data.mean.shape == (1,)
    assert read_part(data, "test")[0].shape == (6, 1, 6, 6)


def test_a_zip_is_the_same_data_set_as_its_folder(image_folder, prepared, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "images"), "zip", image_folder)
    data = prepare(tmp_path / "zip.h5", "tiny", "embedded", archive, validation=24)
    assert data.sha256 == prepared.sha256


# --- what is refused ---------------------------------------------------------------------------


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"dataset\.source is 'web'; allowed: \[.*'embedded'"):
        prepare(tmp_path / "x.h5", "x", "web", tmp_path, validation=1)


def test_bad_images_leave_no_prepared_file_behind(tmp_path):
    images = write_images(tmp_path / "images")
    (images / "train" / "ant" / "0.png").write_bytes(b"")
    with pytest.raises(DatasetError):
        prepare(tmp_path / "out" / "x.h5", "x", "folder", images, validation=3)
    assert not (tmp_path / "out").exists()


def test_a_missing_prepared_file_says_how_to_get_images(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.h5: no such prepared data set.*embedded"):
        open_prepared(tmp_path / "none.h5")


def regroup(file):
    del file["train/images"]
    file.create_group("train/images")


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: file.attrs.__delitem__("sha256"),
        lambda file: file.attrs.__delitem__("mean"),
        lambda file: file.attrs.__setitem__("classes", 3),
        lambda file: file.__delitem__("test"),
        regroup,
    ],
)
def test_another_layout_is_refused(prepared, tmp_path, edit):
    path = edited_copy(prepared.path, tmp_path / "edited.h5", edit)
    with pytest.raises(DatasetError, match=r"edited\.h5: damaged or foreign.*it again: snakemake"):
        open_prepared(path)


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_truncated_prepared_file_is_refused(prepared, tmp_path, length):
    (tmp_path / "short.h5").write_bytes(prepared.path.read_bytes()[:length])
    with pytest.raises(DatasetError, match=r"short\.h5: damaged or foreign"):
        open_prepared(tmp_path / "short.h5")


def test_a_damaged_chunk_is_refused_when_it_is_read(prepared, tmp_path):
    with h5py.File(prepared.path) as file:
        chunk = file["train/images"].id.get_chunk_info(0)
    raw = bytearray(prepared.path.read_bytes())
    raw[chunk.byte_offset + 100] ^= 1
    (tmp_path / "damaged.h5").write_bytes(raw)
    damaged = replace(prepared, path=tmp_path / "damaged.h5")
    with pytest.raises(DatasetError, match=r"damaged\.h5: damaged or foreign"):
        read_part(damaged, "train")


def test_folders_and_prepared_files_agree_on_what_an_image_is(image_folder, prepared):
    raw = folder(image_folder)
    with h5py.File(prepared.path) as file:
        found = file["test/images"][()]
    assert {image.tobytes() for image in found} == {image.tobytes() for image in raw.test_images}
