"""The conditional autoencoder of two views: shapes, the product of experts, and what is refused."""

import pytest
import torch
from torch import nn

from latentface.errors import UsageError
from latentface.networks.retargeting import Code, Person, RetargetConfig, RetargetNet, in_units, product

SMALL = RetargetConfig(("anna", "ben"), resolution=32, code=4, person=5, widths=(4, 6, 8, 8), hidden=8)


def network(config: RetargetConfig = SMALL) -> RetargetNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = RetargetNet(config).eval()
        nn.init.normal_(made.decoder.leave.weight, 0, 0.1)
        return made


def views(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, 32, 32, generator=source) * 2 - 1, torch.rand(count, 68, 2, generator=source) - 0.5


def test_faces_become_codes_and_codes_pictures_of_people():
    net, (pictures, landmarks) = network(), views()
    code = net.encode(pictures, landmarks)
    assert code.mean.shape == code.log_variance.shape == (3, 4)
    assert code.divergence().shape == (3,) and (code.divergence() > 0).all()
    shown, points = net.decode(code.mean, net.people(torch.tensor([0, 1, 1])))
    assert shown.shape == (3, 3, 32, 32) and points.shape == (3, 68, 2)
    again = code.mean[1:].repeat_interleave(2, 0)
    pair, _ = net.decode(again, net.people(torch.tensor([0, 1, 0, 1])))
    assert (pair[0] - pair[1]).abs().mean() > 1e-3  # the same code, another person
    assert (pair[0] - pair[2]).abs().mean() > 1e-4  # the same person, another code


def test_views_are_multiplied_with_the_prior():
    """N(2, 1) times N(0, 1) is N(1, 1/2); a view that is not given does not count."""
    one = Code(torch.full((2, 1), 2.0), torch.zeros(2, 1))
    sure = Code(torch.full((2, 1), -1.0), torch.full((2, 1), -8.0))
    both = product([one, sure], torch.tensor([[True, False], [True, True]]))
    torch.testing.assert_close(both.mean[0], torch.tensor([1.0]))
    torch.testing.assert_close(both.log_variance[0].exp(), torch.tensor([0.5]))
    assert abs(float(both.mean[1]) + 1) < 0.01
    prior = product([one], torch.tensor([[False], [True]]))
    assert float(prior.divergence()[0]) == pytest.approx(0, abs=1e-6)


def test_directions_are_left_out_of_the_code():
    """What remains of the code is unchanged, and the decoder takes the rest for the given values."""
    whole, short, (pictures, landmarks) = network(), network(), views()
    kept, values = torch.tensor([True, False, True, False]), torch.tensor([9.0, 0.5, 9.0, -2.0])
    short.shorten(kept, values)
    assert short.config.code == 2
    before, after = whole.encode(pictures, landmarks), short.encode(pictures, landmarks)
    torch.testing.assert_close(after.mean, before.mean[:, kept])
    torch.testing.assert_close(after.log_variance, before.log_variance[:, kept])
    people = whole.people(torch.tensor([0, 1, 0]))
    wanted = whole.decode(torch.where(kept, before.mean, values), people)
    torch.testing.assert_close(short.decode(after.mean, people), wanted, rtol=1e-3, atol=1e-4)
    again = RetargetNet(short.config)
    again.load_state_dict(short.state_dict())  # every shape is that of the shorter code


def test_either_view_suffices():
    net, (pictures, landmarks) = network(), views()
    alone = net.encode(pictures)
    masked = net.encode(pictures, landmarks, torch.tensor([[True, False]] * 3))
    torch.testing.assert_close(alone.mean, masked.mean)
    assert (net.encode(None, landmarks).mean - alone.mean).abs().max() > 1e-4
    blind = network(RetargetConfig(("anna",), ("keypoints",), 32, 4, 5, (4, 6, 8, 8), 8))
    torch.testing.assert_close(blind.encode(pictures, landmarks).mean, blind.encode(None, landmarks).mean)
    with pytest.raises(UsageError, match="encodes keypoints"):
        blind.encode(pictures)


def test_samples_repeat_with_their_seed():
    code = Code(torch.zeros(500, 4), torch.full((500, 4), -2.0))
    first, second = (code.sample(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert float(first.std()) == pytest.approx(float(torch.tensor(-1.0).exp()), rel=0.1)


def test_before_it_has_learnt_it_shows_the_portraits():
    with torch.random.fork_rng():
        net = RetargetNet(SMALL)
    nn.init.constant_(net.portraits[0], 0.5)
    shown, _ = net.decode(torch.zeros(1, 4), net.people(torch.tensor([0])))
    torch.testing.assert_close(shown, torch.full((1, 3, 32, 32), 0.5), atol=0.05, rtol=0)


def test_portraits_move_by_the_flow():
    """A flow of a quarter of the picture to the right shows what is there a quarter to the left."""
    net = network()
    last = net.decoder.flow[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([0.5, 0.0]).repeat_interleave(net.decoder.cells**2))
    ramp = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    moved = net.decoder.warped(ramp, torch.zeros(1, 9))
    torch.testing.assert_close(moved[..., :12], ramp[..., 4:], atol=1e-5, rtol=0)


def test_landmarks_in_units_of_the_crop():
    corners = torch.tensor([[-0.5, -0.5], [31.5, 31.5], [15.5, 15.5]]).numpy()
    assert in_units(corners, 32).tolist() == [[-1, -1], [1, 1], [0, 0]]


def test_what_is_refused():
    with pytest.raises(UsageError, match="views"):
        RetargetConfig(("anna",), ("sound",))
    with pytest.raises(UsageError, match="one person"):
        RetargetConfig(())
    with pytest.raises(UsageError, match="multiple of 16"):
        RetargetConfig(("anna",), resolution=100)
    net, (pictures, landmarks) = network(), views()
    with pytest.raises(UsageError, match=r"image: expected \[N, 3, 32, 32\]"):
        net.encode(pictures[:, :, :16], landmarks)
    with pytest.raises(UsageError, match="keypoints"):
        net.encode(pictures, landmarks[:, :5])


def test_a_person_outside_the_network_can_be_shown():
    net, (pictures, landmarks) = network(), views()
    known = net.people(torch.tensor([0, 1]))
    between = Person(known.vector.mean(0, keepdim=True), known.portrait.mean(0, keepdim=True))
    shown, _ = net.decode(net.encode(pictures, landmarks).mean[:1], between)
    assert torch.isfinite(shown).all()
