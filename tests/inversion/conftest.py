"""Networks that the tests of inversion share."""

from __future__ import annotations

import pytest

from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualNet
from tests.helpers.tiny_projection import make_distance, make_generator


@pytest.fixture(scope="package")
def generator() -> Generator:
    return make_generator()


@pytest.fixture(scope="package")
def distance() -> PerceptualNet:
    return make_distance()
