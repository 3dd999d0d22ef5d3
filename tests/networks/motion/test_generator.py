"""The occlusion-aware generator: what a blending one shows, and at which size."""

from __future__ import annotations

import torch

from tests.helpers.tiny_motion import keypoints, picture, tiny


def test_a_blending_model_can_show_the_warped_source_itself() -> None:
    model, source = tiny(blend=True), picture(1)
    model.generator.final.weight[3].zero_()
    model.generator.final.bias[3] = 50.0
    rendering = model.render(source, model.keypoints(source), model.keypoints(picture(2)))
    assert torch.allclose(rendering.prediction, rendering.deformed, atol=1e-5)


def test_a_larger_source_lends_its_detail_to_a_blending_model() -> None:
    model, large = tiny(blend=True), picture(1, side=128)
    source = torch.nn.functional.avg_pool2d(large, 4)
    model.generator.final.weight[3].zero_()
    model.generator.final.bias[3] = 50.0
    at = model.keypoints(source)
    with_alpha = torch.cat([large, torch.ones(1, 1, 128, 128)], dim=1)
    frame = model.compose(with_alpha, model.predict(model.encode(source), at, at))
    assert frame.shape == (1, 4, 128, 128)
    assert torch.allclose(frame, with_alpha, atol=1e-3)  # nothing moves, nothing is painted
    plain = tiny()
    rendering = plain.render(source, at, at)
    resized = torch.nn.functional.interpolate(rendering.prediction, size=(128, 128), mode="bilinear")
    assert torch.allclose(plain.compose(large, plain.predict(plain.encode(source), at, at)), resized, atol=1e-5)


def test_without_blending_nothing_says_where_the_source_is_shown() -> None:
    model, source = tiny(), picture(1)
    at = model.keypoints(source)
    made = model.predict(model.encode(source), at, at)
    assert made.share is None and made.painted.shape == (1, 3, 32, 32)
    assert float(made.painted.min()) >= 0 and float(made.painted.max()) <= 1


def test_one_encoded_source_is_repeated_for_its_frames() -> None:
    generator = tiny().generator
    encoded = generator.encode(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert encoded.features.shape == (1, 8, 8, 8) and encoded.small.shape == (1, 3, 16, 16)
    repeated = encoded.expand(3)
    assert all(len(part) == 3 for part in (repeated.picture, repeated.features, repeated.small))
    assert torch.equal(repeated.features[2], encoded.features[0])


def test_an_occluded_place_hides_the_features_of_the_source() -> None:
    """With the occlusion shut, the generator paints the same whatever the source holds."""
    model = tiny()
    dense = model.generator.dense_motion_network
    dense.occlusion.weight.zero_()
    dense.occlusion.bias.fill_(-100.0)
    at = keypoints(0, 1, 3)
    one, other = (model.render(picture(seed), at, at) for seed in (1, 2))
    assert torch.allclose(one.prediction, other.prediction, atol=1e-6)
    assert not torch.allclose(one.deformed, other.deformed, atol=1e-2)
