"""Modules that the persistence decorator pickled: their attributes are read, their source text is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.persistence import is_module, read_module
from latentface.pretrained.readers.unpickler import Instance, unpickle
from latentface.pretrained.readers.values import Budget
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make


def test_the_averaged_weights_are_preferred_and_their_absence_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(write.ada(make(), tmp_path / "mark", key="G"))
    assert re.search("G is used", " ".join(read_checkpoint(tmp_path / "a").notes))
    (tmp_path / "b").write_bytes(write.rosinality(make(), key="g"))
    assert re.search("'g' are used", " ".join(read_checkpoint(tmp_path / "b").notes))
    both = {"g": write.rosinality_state(make(seed=1)), "g_ema": write.rosinality_state(make(seed=2))}
    (tmp_path / "c").write_bytes(write.torch_bytes({**both, "latent_avg": make(seed=2).w_avg}))
    assert read_checkpoint(tmp_path / "c").generator().fingerprint == make(seed=2).fingerprint


def module(state: dict[str, torch.Tensor] | None = None, **attributes: Any) -> tuple[Instance, Budget]:
    """A persistence module as the pickle machine records it."""
    made = write.persistent(make().state_dict() if state is None else state, SMALL, "raise SystemExit")
    made.meta["state"] |= attributes
    content = write.dumps(made, write.ADA_GLOBALS)
    value, _ = unpickle(memoryview(content))
    return value, Budget(len(content))


def test_a_module_is_told_by_its_maker() -> None:
    assert is_module(module()[0])
    assert not is_module({"state": {}}) and not is_module(Instance("argparse.Namespace", ()))


def test_a_module_gives_its_generator() -> None:
    found = read_module(*module(), ("a note",))
    assert found.generator().fingerprint == make().fingerprint
    assert (found.format, found.notes) == ("stylegan2-ada", ("a note",))


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ({"_parameters": [1]}, "_parameters are not a dictionary"),
        ({"_modules": {"mapping": 7}}, "a part 'mapping' of an unknown kind"),
        ({"activation": "relu"}, "uses the activation 'relu'"),
    ],
)
def test_attributes_that_no_generator_has(attributes: dict[str, Any], word: str) -> None:
    with pytest.raises(Unreadable, match=re.escape(word)):
        read_module(*module(**attributes))


def test_layers_that_clamp_differently_are_a_contradiction() -> None:
    value, budget = module(conv_clamp=1.0)
    block = value.args[0]["state"]["_modules"]["synthesis"].args[0]["state"]["_modules"]["b4"]
    block.args[0]["state"]["conv_clamp"] = 2.0
    with pytest.raises(Unreadable, match="its layers clamp differently"):
        read_module(value, budget)


def test_a_module_inside_itself_ends() -> None:
    value, budget = module()
    value.args[0]["state"]["_modules"]["again"] = value
    with pytest.raises(Unreadable, match="inside itself"):
        read_module(value, budget)


def test_what_the_constructor_was_given_must_agree_with_the_tensors() -> None:
    value, budget = module(_init_kwargs={"img_resolution": 64})
    value.args[0]["state"].pop("img_resolution")
    with pytest.raises(Unreadable, match="it says resolution 64, its tensors say 16"):
        read_module(value, budget)
