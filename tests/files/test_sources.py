"""Sources of images: what is read of a folder, a zip and torchvision, and what is counted."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import urllib.error
import zipfile

import numpy as np
import pytest
from PIL import Image

from core_tools import CLASSES, png, write_images, zipped
from ticketlens.files import sources
from ticketlens.files.image_folder import DatasetError, images_digest
from ticketlens.files.sources import first_shape, folder, torchvision_cifar10


def test_images_come_with_the_label_of_their_folder(images):
    raw = folder(images)
    assert raw.classes == CLASSES
    assert raw.train_images.shape == (12, 6, 6, 3) and raw.train_images.dtype == np.uint8
    assert raw.train_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert raw.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert raw.train_labels.dtype == np.int64
    expected = np.asarray(Image.open(images / "train" / "bee" / "2.png"))
    assert np.array_equal(raw.train_images[6], expected)


def test_a_zip_reads_as_its_folder_does_whatever_the_order_of_its_members(images, tmp_path):
    raw = folder(images)
    members = [path for path in images.rglob("*") if path.is_file()]
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for member in sorted(members, reverse=True):
            archive.write(member, member.relative_to(images).as_posix())
        archive.writestr("__MACOSX/train/ant/._0.png", b"x")
        archive.writestr("train/ant/.hidden.png", b"x")
        archive.writestr("train/ant/notes.txt", b"x")
        archive.writestr("README.md", b"x")
    found = folder(tmp_path / "images.zip")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert np.array_equal(getattr(found, name), getattr(raw, name))


def test_files_are_taken_in_natural_order(images):
    for old, new in (("0", "img10"), ("1", "img9"), ("2", "img010"), ("3", "img1²2")):
        (images / "train" / "ant" / f"{old}.png").rename(images / "train" / "ant" / f"{new}.png")
    expected = [
        np.asarray(Image.open(images / "train" / "ant" / f"{name}.png"))
        for name in ("img1²2", "img9", "img010", "img10")
    ]
    assert np.array_equal(folder(images).train_images[:4], expected)


def test_jpegs_and_upper_case_suffixes_are_read(images):
    for path in list((images / "train" / "cat").iterdir()):
        Image.open(path).save(path.with_suffix(".JPG"), quality=95)
        path.unlink()
    (images / "test" / "cat" / "0.png").rename(images / "test" / "cat" / "0.PNG")
    raw = folder(images)
    assert raw.train_labels.tolist().count(2) == 4 and raw.test_labels.tolist().count(2) == 2


def test_grey_images_have_one_channel(tmp_path):
    raw = folder(write_images(tmp_path / "grey", mode="L"))
    assert raw.train_images.shape == (12, 6, 6, 1)


def test_images_need_not_be_square(tmp_path):
    raw = folder(write_images(tmp_path / "wide", size=(9, 5)))
    assert raw.train_images.shape == (12, 5, 9, 3)


@pytest.mark.parametrize(("name", "place"), [("ant/0", 0), ("bee/1", 5)], ids=["first", "later"])
def test_one_colour_image_makes_the_set_a_coloured_one(images, name, place):
    path = images / "train" / f"{name}.png"
    grey = Image.open(path).convert("L")
    grey.save(path)
    found = folder(images).train_images
    assert found.shape[-1] == 3
    assert np.array_equal(found[place], np.repeat(np.asarray(grey)[:, :, None], 3, axis=2))


def test_a_class_folder_that_is_a_link_is_followed(images, tmp_path):
    raw = folder(images)
    for part in ("train", "test"):
        (images / part / "cat").rename(tmp_path / f"cats of {part}")
        (images / part / "cat").symlink_to(tmp_path / f"cats of {part}")
    found = folder(images)
    assert found.classes == CLASSES
    assert np.array_equal(found.train_images, raw.train_images)
    before = images_digest(images)
    (tmp_path / "cats of train" / "0.png").write_bytes(b"")
    assert images_digest(images) != before


def test_what_is_not_read_is_counted_by_reason(images):
    for name in ("train/ant/.DS_Store", "train/bee/._1.png", "train/Icon\r", "test/Thumbs.db"):
        (images / name).write_bytes(b"x")
    (images / "labels.csv").write_bytes(b"x")
    (images / "train/ant/_MG_1.png").write_bytes(b"x")
    (images / "val").mkdir()
    shutil.copy(images / "train/ant/0.png", images / "val" / "0.png")
    assert folder(images).left_out == {
        "hidden": 2,
        "left by a system": 2,
        "of a name, or in a folder, that begins with an underscore": 1,
        "no image by its suffix": 1,
        "outside train/ and test/": 1,
    }


def test_transparency_and_orientation_are_counted(images):
    path = images / "train" / "ant" / "0.png"
    Image.open(path).convert("RGBA").save(path)
    turned = images / "train" / "bee" / "1.png"
    image = Image.open(turned)
    exif = image.getexif()
    exif[sources.ORIENTATION] = 6
    image.save(turned, exif=exif)
    assert sorted(folder(images).left_out.items()) == [
        ("images with an EXIF orientation, which was not applied", 1),
        ("images with transparency, which was dropped", 1),
    ]


def test_what_eight_bits_of_one_frame_do_not_hold_is_counted(images):
    rows = b"".join(b"\0" + bytes(range(36)) for _ in range(6))
    (images / "train" / "ant" / "0.png").write_bytes(png(6, 6, depth=16, rows=rows, colour=2))
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    frames[0].save(images / "train/ant/1.png", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (6, 6)).save(images / "train" / "bee" / "9.jpg")
    assert folder(images).left_out == {
        "images of 16 bits a channel, of which the higher 8 were taken": 1,
        "images with several frames, of which the first was taken": 1,
        "images of other colours than RGB, converted without a profile": 1,
    }


def test_the_shape_is_that_of_colours_if_any_class_has_one(tmp_path):
    path = write_images(tmp_path / "grey", train=2, test=2, mode="L")
    assert first_shape(path)[2] == 1
    Image.new("RGB", (6, 6), "red").save(path / "test" / "cat" / "0.png")
    assert first_shape(path) == (6, 6, 3)
    assert first_shape(zipped(path, tmp_path / "images.zip")) == (6, 6, 3)


def test_all_grey_images_with_transparency_stay_grey(tmp_path):
    grey = write_images(tmp_path / "grey", mode="L")
    for path in grey.rglob("*.png"):
        Image.open(path).convert("LA").save(path)
    raw = folder(grey)
    assert raw.train_images.shape[-1] == 1 and sum(raw.left_out.values()) == 18


@pytest.mark.parametrize("name", ["no\xa0break", "zero\u200dwidth", "caf\u00e9"])
def test_unusual_characters_in_names_are_names(images, name):
    for part in ("train", "test"):
        (images / part / "bee").rename(images / part / name)
    assert name in folder(images).classes


def test_one_name_in_two_unicode_forms_is_one_class(images):
    (images / "train" / "bee").rename(images / "train" / "caf\u00e9")
    (images / "test" / "bee").rename(images / "test" / "cafe\u0301")
    assert "caf\u00e9" in folder(images).classes
    shutil.copytree(images / "train" / "ant", images / "train" / "cafe\u0301")
    with pytest.raises(DatasetError, match=r"two folders of train/ have names that look alike"):
        folder(images)


def test_a_zip_with_backslashes_reads_as_one_with_slashes(images, tmp_path):
    raw = folder(images)
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as archive:
        for member in images.rglob("*.png"):
            info = zipfile.ZipInfo("x")
            info.filename = member.relative_to(images).as_posix().replace("/", "\\")
            archive.writestr(info, member.read_bytes())
    assert np.array_equal(folder(tmp_path / "windows.zip").train_images, raw.train_images)


def test_one_folder_around_the_layout_is_taken(images, tmp_path):
    raw = folder(images)
    archive = zipped(images, tmp_path / "images.zip", prefix="my images/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("cover.png", b"beside it")
    assert np.array_equal(folder(archive).test_images, raw.test_images)


def test_a_home_folder_is_expanded(images, monkeypatch):
    monkeypatch.setenv("HOME", str(images.parent))
    assert folder("~/images").classes == CLASSES


# --- torchvision -------------------------------------------------------------------------------


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """Return a folder in torchvision's layout with 50 train and 10 test images."""
    base = tmp_path / "cifar10" / "cifar-10-batches-py"
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name, content):
        (base / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((base / name).read_bytes()).hexdigest()]

    def batch(count):
        labels = [int(label) for label in rng.permutation(count) % 10]
        return {"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), "labels": labels}

    train = [write(f"data_batch_{number}", batch(10)) for number in range(1, 6)]
    test = [write("test_batch", batch(10))]
    names = [f"class{number}" for number in range(10)]
    meta = write("batches.meta", {"label_names": names})
    dataset = sources._torchvision_cifar10_class()
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", test)
    fields = {"filename": meta[0], "key": "label_names", "md5": meta[1]}
    monkeypatch.setattr(dataset, "meta", fields)
    return base.parent


def test_cifar10_is_read_as_torchvision_lays_it_out(cifar10):
    raw = torchvision_cifar10(cifar10)
    assert len(raw.classes) == 10 and raw.classes[3] == "class3"
    assert raw.train_images.shape == (50, 32, 32, 3) and raw.train_images.dtype == np.uint8
    assert np.bincount(raw.train_labels).tolist() == [5] * 10
    assert raw.test_images.shape == (10, 32, 32, 3) and raw.test_labels.dtype == np.int64
    with open(cifar10 / "cifar-10-batches-py" / "data_batch_2", "rb") as file:
        batch = pickle.load(file)
    expected = batch["data"][4].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(raw.train_images[14], expected)
    assert raw.train_labels[14] == batch["labels"][4]


@pytest.fixture
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)


def test_without_network_the_message_names_the_other_ways(no_network, tmp_path):
    with pytest.raises(DatasetError, match=r"could not get CIFAR-10 \(.*resolution.*embedded"):
        torchvision_cifar10(tmp_path / "cifar10")


def test_a_damaged_download_is_noticed(cifar10, no_network):
    path = cifar10 / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="torchvision could not get CIFAR-10"):
        torchvision_cifar10(cifar10)
