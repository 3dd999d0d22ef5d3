"""What is in front of a face, found in one place."""

from latentface import hub
from latentface.head.drive import Driver
from latentface.head.in_front import find_in_front
from tests.helpers.head_picture import model, picture


def test_spectacles_are_found_unless_it_is_known_that_there_are_none() -> None:
    scene = picture(spectacles=True)
    driver = Driver(scene.photo, model(), scene.before)
    assert driver.in_front.spectacles is None  # without networks there is nothing
    found = find_in_front(scene.photo, driver.scene, driver.eyes, hub.finders())
    assert found.spectacles is not None and found.occluders is None
    assert find_in_front(scene.photo, driver.scene, driver.eyes, hub.finders(), worn=False).spectacles is None
