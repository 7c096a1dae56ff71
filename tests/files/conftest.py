"""A folder of images, for the tests of sources of images."""

from __future__ import annotations

import pytest

from core_tools import write_images


@pytest.fixture
def images(tmp_path):
    """Return a folder of images that a test may spoil."""
    return write_images(tmp_path / "images")
