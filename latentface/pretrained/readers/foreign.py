"""Recognises files of other networks, so that the error can say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

from latentface.pretrained.readers.errors import Unreadable, not_supported

#: Beginnings of files that are not weights, and the message for each.
BEGINNINGS = (
    (re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE), "is a web page, not weights (a download page or a "
     "quota notice was saved instead): open the address in a browser and download the file itself"),
    (re.compile(rb"version https://git-lfs"), "is a Git LFS pointer, not the file it stands for: run `git lfs pull`"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!"), "is compressed: unpack it first"),
    (re.compile(rb"\x89HDF"), "is an HDF5 file (Keras?), not supported: give a StyleGAN2 network file"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|RIFF"), "is a picture, not weights: give a network file"),
    (re.compile(rb".{257}ustar", re.DOTALL), "is a tar archive: unpack it first"),
    (re.compile(rb"\s*[{\[]"), "is a text file (JSON?), not weights: give a network file"),
)  # fmt: skip

LONGEST_NAME = 200  # number of characters that are examined

#: Names of tensors (or top-level keys) that identify other networks.
STRANGERS = (
    (r"synthesis\.(input\.(weight|freqs|transform)|L\d+_\d+_\d+\.)", "a StyleGAN3 network"),
    (r"StyleMod|LayerEpilogue|progression\.\d|g_synthesis\.|AdaIN|adain", "a StyleGAN1 network"),
    (r"ToRGB_lod\d", "a progressive-growing network (Progressive GAN, or StyleGAN2 configurations A to D)"),
    (r"(^|\.)(constant_input\.const|style_mapping\.\d)", "an mmgeneration network"),
    (r"^generator_smooth$|(^|\.)(synthesis\.)?layer\d+\.(style|apply_noise|noise_strength)", "a genforce network"),
    (r"^GAN$|(^|\.)(initial_block|to_style1)($|\.)", "a network of lucidrains' stylegan2-pytorch"),
    (r"diffusion_model\.|(^|\.)(down_blocks|up_blocks|mid_block)\.|text_model\.|cond_stage|double_blocks\.|betas$",
     "a diffusion model"),
    (r"^kp_detector$", "a First Order Motion Model checkpoint"),
    (r"backbone\.synthesis\.|superresolution\.", "an EG3D network"),
)  # fmt: skip


def refuse_beginning(head: bytes) -> None:
    """Raise Unreadable if the first bytes show that this is not a network file."""
    for pattern, message in BEGINNINGS:
        if pattern.match(head):
            raise Unreadable(message)


def refuse_names(names: Iterable[str]) -> None:
    """Raise Unreadable if the names of tensors, or the keys around them, belong to another kind of network."""
    known = [name[:LONGEST_NAME] for name in names]
    for pattern, what in STRANGERS:
        if any(re.search(pattern, name) for name in known):
            raise not_supported(what)


def unknown(names: Iterable[str]) -> Unreadable:
    """The message for unrecognised names."""
    first = ", ".join(ascii(name)[1:-1][:40] for name, _ in zip(names, range(3), strict=False))
    held = f"it contains {first}, ..." if first else "it contains no names"
    return Unreadable(f"contains no StyleGAN2 generator ({held}): give a StyleGAN2 network file")
