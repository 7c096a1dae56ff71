"""Tickets are measured on the data set that they were made on, and on no other."""

from dataclasses import replace

import pytest

from ticketlens.dataset import DatasetError, images_of, open_prepared


def test_measurement_images_are_the_first_validation_images(prepared):
    images = images_of(open_prepared(prepared.path).spec, prepared.path, 3)
    assert len(images) == 3


def test_a_ticket_of_another_data_set_is_not_measured(prepared):
    other = replace(open_prepared(prepared.path).spec, sha256="0" * 64)
    with pytest.raises(DatasetError, match="is not the one that the ticket was made on"):
        images_of(other, prepared.path, 3)
