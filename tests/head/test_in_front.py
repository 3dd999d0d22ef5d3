"""What is in front of a face, found by networks."""

from dataclasses import replace

from latentface import hub
from latentface.head.drive import Driver
from tests.helpers.head_picture import model, picture


def test_spectacles_are_found_unless_it_is_known_that_there_are_none() -> None:
    scene = picture(spectacles=True)
    assert Driver(scene.photo, model(), scene.before).spectacles is None, "without networks there is nothing"
    driver = Driver(scene.photo, model(), scene.before, finders=hub.finders())
    assert driver.spectacles is not None and driver.occluders is None
    bare = replace(driver.steady, worn=False)
    assert Driver(scene.photo, model(), scene.before, steady=bare, finders=hub.finders()).spectacles is None
