"""IDX files and the published data sets: what is read, what is refused, what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from idx_tools import write_idx
from ticketlens.files import idx, sources
from ticketlens.files.dataset import prepare
from ticketlens.files.image_folder import DatasetError
from ticketlens.study import image_counts


@pytest.mark.parametrize("is_zipped", [True, False])
@pytest.mark.parametrize("dashes", [True, False])
def test_the_four_files_of_mnist_are_read(tmp_path, is_zipped, dashes):
    written = write_idx(tmp_path, is_zipped=is_zipped, dashes=dashes)
    raw = sources.idx_folder(tmp_path)
    assert raw.classes == ("0", "1", "2") and raw.train_images.shape == (20, 5, 4, 1)
    assert np.array_equal(raw.train_images[..., 0], written["train"][0])
    assert np.array_equal(raw.test_labels, written["test"][1])
    assert raw.train_labels.dtype == np.int64
    assert idx.shape(tmp_path, "test") == (10, 5, 4)


def test_they_become_a_prepared_data_set_and_are_counted_before(tmp_path):
    write_idx(tmp_path / "idx", train=60, test=12)
    data = prepare(tmp_path / "idx.h5", "idx", "idx", tmp_path / "idx", validation=15)
    assert data.shape == (5, 4, 1) and data.counts == {"train": 45, "validation": 15, "test": 12}
    config = {"dataset": {"name": "x", "source": "idx", "path": str(tmp_path / "idx"),
                          "validation": 15}}  # fmt: skip
    assert image_counts.count_images(config) == image_counts.Images(45, 15, 12)
    assert image_counts.image_shape(config) == (5, 4, 1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def renamed(path):
    path.rename(path.with_name("other"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "holds other than the"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "holds other than the"),
        (lambda path: path.write_bytes(b""), "not an IDX file"),
        (lambda path: path.write_bytes(b"\0\0\x0d\3" + bytes(12)), "not an IDX file"),
        (lambda path: path.write_bytes(b"\0\0\x08\3" + b"\xff" * 12), "at most"),
        (renamed, "train-images-idx3-ubyte is not there"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, damage, message):
    write_idx(tmp_path)
    damage(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(DatasetError, match=message):
        sources.idx_folder(tmp_path)


def test_a_damaged_gz_is_refused(tmp_path):
    write_idx(tmp_path, is_zipped=True)
    cut(tmp_path / "train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match=r"ubyte\.gz: not a readable IDX file"):
        sources.idx_folder(tmp_path)


def test_images_and_labels_of_different_numbers_are_refused(tmp_path):
    write_idx(tmp_path)
    write_idx(tmp_path / "more", train=21)
    (tmp_path / "more/train-labels-idx1-ubyte").replace(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(DatasetError, match="20 train images, 21 labels"):
        sources.idx_folder(tmp_path)


def test_the_digest_follows_the_bytes(tmp_path):
    write_idx(tmp_path)
    before = idx.digest(tmp_path)
    assert before and idx.digest(tmp_path) == before
    cut(tmp_path / "t10k-labels-idx1-ubyte")
    assert idx.digest(tmp_path) not in ("", before)
    assert idx.digest(tmp_path / "absent") == ""


@pytest.mark.parametrize("source", ["mnist", "fashion-mnist", "cifar100"])
def test_published_data_sets_come_from_torchvision_in_its_own_layout(tmp_path, monkeypatch, source):
    """Without a network: torchvision's class is replaced by one with the same attributes."""
    import torch

    known = sources.PUBLISHED[source]

    class Fake:
        classes = ("a", "b")

        def __init__(self, root, train, download):
            count = 6 if train else 4
            shape = known.shape[:2] if known.shape[2] == 1 else known.shape
            self.data = torch.full((count, *shape), 7, dtype=torch.uint8)
            self.targets = torch.arange(count) % 2

    monkeypatch.setattr(sources, "_torchvision_class", lambda name: Fake)
    raw = sources.SOURCES[source](tmp_path)
    assert raw.train_images.shape == (6, *known.shape) and raw.train_images.dtype == np.uint8
    assert list(raw.test_labels) == [0, 1, 0, 1] and raw.classes == ("a", "b")
    config = {"dataset": {"name": "x", "source": source, "path": "x", "validation": 5000}}
    assert image_counts.count_images(config).train == known.train - 5000
    assert image_counts.image_shape(config) == known.shape


def test_torchvision_has_every_published_class():
    for known in sources.PUBLISHED.values():
        assert sources._torchvision_class(known.name).__name__ == known.name
