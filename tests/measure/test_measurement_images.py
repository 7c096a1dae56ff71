"""Tickets are measured on the data set they were made on; those of the bank on any like it."""

from dataclasses import replace

import numpy as np
import pytest

from ticketlens.files.dataset import (
    MEASUREMENT_IMAGES,
    DatasetError,
    images_of,
    open_prepared,
    read_part,
)


def test_measurements_see_the_first_500_validation_images_or_fewer(prepared):
    validation, _ = read_part(prepared, "validation")
    spec = open_prepared(prepared.path).spec
    assert np.array_equal(images_of(spec, prepared.path), validation)
    assert np.array_equal(images_of(spec, prepared.path, 3), validation[:3])
    assert MEASUREMENT_IMAGES == 500


def test_a_ticket_of_another_data_set_is_not_measured(prepared):
    other = replace(open_prepared(prepared.path).spec, sha256="0" * 64)
    with pytest.raises(DatasetError, match="is not the one that the ticket was made on"):
        images_of(other, prepared.path, 3)


def test_a_ticket_of_the_bank_is_measured_on_any_images_of_its_shape_and_classes(prepared):
    spec = open_prepared(prepared.path).spec
    alike = replace(spec, sha256="0" * 64, name="other")
    own = images_of(spec, prepared.path, 3)
    assert np.array_equal(images_of(alike, prepared.path, 3, own_only=False), own)
    for foreign in (replace(alike, classes=7), replace(alike, shape=(5, 5, 3))):
        with pytest.raises(DatasetError, match=f"measured on {foreign.classes} classes of"):
            images_of(foreign, prepared.path, 3, own_only=False)
