"""Bad sources of images: every bad input is refused with its own message."""

from __future__ import annotations

import os
import shutil
import zipfile

import pytest
from PIL import Image

from core_tools import CLASSES, png, write_images, zipped
from ticketlens.files import sources
from ticketlens.files.image_folder import DatasetError
from ticketlens.files.sources import folder

# --- paths and layouts -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["~no-such-user/images", "none.zip"])
def test_a_path_that_is_not_there_is_said_to_be_missing(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=rf"^{path}: no such file or folder"):
        folder(path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "images.zip")
    with pytest.raises(DatasetError, match=r"images\.zip: neither a folder nor a file"):
        folder(tmp_path / "images.zip")


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "empty zip", "class folders only"])
def test_no_images_is_an_error_that_says_how_to_get_some(tmp_path, kind):
    path = tmp_path / "images"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "empty zip":
        zipfile.ZipFile(path, "w").close()
    elif kind == "class folders only":
        (path / "train" / "ant").mkdir(parents=True)
    message = "no such file or folder" if kind == "nothing" else "0 classes with images found"
    with pytest.raises(DatasetError, match=rf"images: {message}.*source: embedded.*torchvision"):
        folder(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing more", b"a text" * 100])
def test_a_file_that_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "images.zip"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"images\.zip: neither a folder nor a readable \.zip"):
        folder(path)


def test_a_loop_of_links_is_refused(images):
    (images / "train" / "ant" / "up").symlink_to(images / "train")
    with pytest.raises(DatasetError, match="ant/up: a link that leads to a folder above it"):
        folder(images)


@pytest.mark.parametrize("target", ["nowhere", "dog"], ids=["without an end", "in a circle"])
def test_a_class_folder_whose_link_leads_nowhere_is_refused(images, target):
    (images / "train" / "dog").symlink_to(target)
    with pytest.raises(DatasetError, match=r"train/dog is no file \(a link that leads nowhere"):
        folder(images)


@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "zip"])
def test_a_class_folder_without_images_is_refused_and_a_hidden_one_is_not(images, tmp_path, as_zip):
    (images / "train" / ".cache").mkdir()
    (images / "train" / "dog").mkdir()
    path = zipped(images, tmp_path / "images.zip", prefix="data/") if as_zip else images
    with pytest.raises(DatasetError, match=r"no images in 'train/dog', which stand where a class"):
        folder(path)
    (images / "train" / "dog").rmdir()
    assert folder(images).classes == CLASSES


def test_a_layout_in_other_words_is_refused_with_what_was_seen(images):
    (images / "train").rename(images / "Train")
    with pytest.raises(DatasetError, match=r"0 classes .*found 18 files, in 'Train/ant', "):
        folder(images)


def test_images_two_folders_too_deep_are_not_found(images, tmp_path):
    archive = zipped(images, tmp_path / "images.zip", prefix="data/cifar/")
    with pytest.raises(DatasetError, match=r"expected the layout \{train,test\}/<class>/"):
        folder(archive)


def test_a_name_that_stands_in_a_zip_twice_is_refused(images, tmp_path):
    archive = zipped(images, tmp_path / "images.zip")
    image = (images / "train" / "ant" / "0.png").read_bytes()
    with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("train/ant/0.png", image)
    with pytest.raises(DatasetError, match=r"train/ant/0\.png stands in the archive twice"):
        folder(archive)


# --- images and archives -----------------------------------------------------------------------


def remove_test(path):
    shutil.rmtree(path / "test")


def unlabelled(path):
    shutil.copy(path / "train/ant/1.png", path / "train/stray.png")


def other_format(path):
    Image.open(path / "train/ant/1.png").save(path / "train/ant/1.bmp")


def damage(path):
    file = path / "train" / "bee" / "1.png"
    file.write_bytes(file.read_bytes()[:60])


def resize(path):
    Image.new("RGB", (7, 6)).save(path / "test" / "ant" / "1.png")


def unknown_test_class(path):
    (path / "test" / "cat").rename(path / "test" / "dog")


def missing_test_class(path):
    shutil.rmtree(path / "test" / "bee")


def one_class(path):
    for name in CLASSES[1:]:
        shutil.rmtree(path / "train" / name)


def deep_colour(path):
    rows = b"".join(b"\0" + bytes(12) for _ in range(6))
    (path / "train" / "ant" / "2.png").write_bytes(png(6, 6, depth=16, rows=rows))


def text_as_image(path):
    (path / "train" / "ant" / "2.png").write_text("not an image")


def gif_as_png(path):
    Image.new("RGB", (6, 6)).save(path / "train" / "ant" / "2.png", format="GIF")


def huge_pixels(path):
    (path / "train" / "ant" / "2.png").write_bytes(png(6000, 6000))


def bomb(path):
    (path / "train" / "ant" / "2.png").write_bytes(png(60_000, 60_000))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_test, r"class 'ant' has no images under test/"),
        (missing_test_class, r"class 'bee' has no images under test/"),
        (unknown_test_class, r"class test/dog has no images under train/; found 18 files, in"),
        (one_class, r"1 classes with images found under train/; expected the layout"),
        (unlabelled, r"train/stray\.png is not in the layout .*without a label"),
        (other_format, r"train/ant/1\.bmp is not in the layout .*another format"),
        (damage, r"train/bee/1\.png is not a readable image"),
        (resize, r"test/ant/1\.png is 7×6 pixels; expected 6×6"),
        (deep_colour, r"train/ant/2\.png has more than 8 bits a channel"),
        (
            text_as_image,
            r"train/ant/2\.png is not a readable image \(neither PNG nor JPEG, whatever its name",
        ),
        (gif_as_png, r"train/ant/2\.png is not a readable image"),
        (huge_pixels, r"train/ant/2\.png is 6000×6000 pixels"),
        (bomb, r"train/ant/2\.png is not a readable image"),
    ],
)
@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "zip"])
def test_bad_images_are_refused_by_name(images, tmp_path, spoil, message, as_zip):
    spoil(images)
    path = zipped(images, tmp_path / "images.zip") if as_zip else images
    with pytest.raises(DatasetError, match=f"{path}: {message}"):
        folder(path)


def test_images_larger_than_allowed_are_refused_even_if_all_agree(tmp_path):
    path = write_images(tmp_path / "large", train=1, test=1, size=(1025, 2))
    with pytest.raises(DatasetError, match=r"1025×2 pixels; .* at most 1024"):
        folder(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(images, tmp_path, monkeypatch):
    with zipfile.ZipFile(
        zipped(images, tmp_path / "images.zip"), "a", zipfile.ZIP_DEFLATED
    ) as file:
        file.writestr("train/ant/9.png", bytes(sources.MAX_FILE_BYTES + 1))
    assert (tmp_path / "images.zip").stat().st_size < 100_000
    with pytest.raises(DatasetError, match=r"train/ant/9\.png claims 10,000,001 bytes; too large"):
        folder(tmp_path / "images.zip")


def test_a_damaged_member_of_a_zip_is_refused_by_name(images, tmp_path):
    archive = zipped(images, tmp_path / "images.zip")
    raw = bytearray(archive.read_bytes())
    content = (images / "train" / "bee" / "1.png").read_bytes()
    raw[raw.index(content) + 50] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(DatasetError, match=r"images\.zip: train/bee/1\.png cannot be unpacked"):
        folder(archive)
