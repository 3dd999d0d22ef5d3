"""Accuracy of the emotion classifier and the identity embedding.

    python -m latentface.synthface.dataset --heads heads.npz -o DIR --count 1000 --first 900000 --views 5
    python benchmarks/recognition.py --renders DIR --photos DIR --smiles anna bob --faces FACES

The renders must be of heads that the training never saw, several views each. Gates: emotion named on 90 % of them;
mean cosine above 0.7 between pictures of one person, below 0.3 between two people; every photo whose name is given with
--smiles called happiness. On photos, two people must also be less alike than a photo and its augmented copies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import latentface as lf
from latentface import pretrained
from latentface.emotion import Emotion
from latentface.faces.crop import FaceCrop
from latentface.io.images import list_photos
from latentface.networks.classifier import EmotionNet
from latentface.networks.identity import IdentityNet
from latentface.training.faces import load_faces
from latentface.training.identity import CHANGES, Whole, cosines
from latentface.training.landmark_augmentation import augment
from latentface.training.people import load_photographs, same_picture

NAMES = [emotion.value for emotion in Emotion]
COPIES = 8


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def on_renders(folder: Path, emotion: EmotionNet, identity: IdentityNet) -> None:
    """The gates on renders of unseen heads."""
    data = load_faces([folder], ("emotion", "strength", "head"))
    parts = torch.split(torch.arange(len(data)), 64)
    crops = [data.crops(part, torch.device("cpu")) for part in parts]
    answers = torch.cat([emotion(part) for part in crops]).argmax(1)
    truth, strength, heads = (data.labels[name] for name in ("emotion", "strength", "head"))
    right = (answers == truth).float()
    print(f"emotions: {len(data)} renders of {len(torch.unique(heads))} unseen heads")
    print(f"  named: {right.mean():.1%} (gate 90 %: {verdict(bool(right.mean() >= 0.9))})")
    print("  " + "  ".join(f"{name} {right[truth == i].mean():.0%}" for i, name in enumerate(NAMES)))
    for low, high in ((0.35, 0.5), (0.5, 0.75), (0.75, 1.0)):
        part = (truth > 0) & (strength >= low) & (strength <= high)
        print(f"  strength {low} to {high}, without neutral: {right[part].mean():.1%} of {int(part.sum())}")
    print("  confusion, truth by rows:\n   " + " " * 10 + "".join(f"{name[:9]:>10}" for name in NAMES))
    for i, name in enumerate(NAMES):
        counts = torch.bincount(answers[truth == i], minlength=len(NAMES)).tolist()
        print(f"    {name:9}" + "".join(f"{count:10d}" for count in counts))
    vectors = torch.cat([identity(part) for part in crops])
    means = cosines(vectors, heads)
    others = cosines(vectors, heads, heads[:, None] // 2 == heads[None] // 2)
    print(f"identity, mean cosine: one person {means['same']:.3f} (gate 0.7: {verdict(means['same'] > 0.7)}), "
          f"two people {means['different']:.3f} (gate 0.3: {verdict(means['different'] < 0.3)}), "
          f"look-alikes of one skin and hair {others['different']:.3f}")  # fmt: skip
    print(f"  same or not, right: {means['accuracy']:.1%}; against look-alikes {others['accuracy']:.1%}")


def on_people(folder: Path, identity: IdentityNet) -> None:
    """The gate of the embedding on photographs of people who were held out from training."""
    held = load_photographs(folder)[1]
    parts = torch.split(torch.arange(len(held)), 64)
    vectors = torch.cat([identity(held.crops(part, torch.device("cpu"))) for part in parts])
    persons, apart = held.labels["person"], ~same_picture(held.images)
    found = cosines(vectors, persons, apart)
    met = verdict(found["same"] >= 0.6 and found["different"] <= 0.1)
    print(f"people: {len(held)} photographs of {len(torch.unique(persons))} who were held out\n"
          f"  mean cosine of one person {found['same']:.3f}, of two {found['different']:.3f} (gate 0.6, 0.1: {met}); "
          f"same or not, right: {found['accuracy']:.1%}")  # fmt: skip


def on_photos(folder: Path, smiles: set[str], emotion: EmotionNet, identity: IdentityNet) -> None:
    """What the networks say of photos of different people."""
    paths = list_photos(folder)
    crops = [lf.align(lf.read_image(path), size=128)[0] for path in paths]
    pictures = lf.to_tensor(np.stack([crop.image for crop in crops]))
    chances = emotion(pictures).softmax(1)
    called = 0
    for path, chance in zip(paths, chances, strict=True):
        first, second = chance.topk(2).indices.tolist()
        smiling = path.stem in smiles
        called += smiling and first == Emotion.HAPPINESS.index
        print(f"  {path.name}: {NAMES[first]} {chance[first]:.0%}, {NAMES[second]} {chance[second]:.0%}"
              + (" (smiles)" if smiling else ""))  # fmt: skip
    if smiles:
        print(f"photos: {called} of {len(smiles)} smiles called happiness ({verdict(called == len(smiles))})")
    vectors = identity(pictures)
    others = (vectors @ vectors.T)[~torch.eye(len(crops), dtype=torch.bool)]
    own = [(identity(copies(crop)) @ vector) for crop, vector in zip(crops, vectors, strict=True)]
    print(f"photos: cosine of two people {others.mean():.3f} (highest {others.max():.3f}), of a photo and its "
          f"augmented copies {torch.cat(own).mean():.3f} (lowest {torch.cat(own).min():.3f})")  # fmt: skip


def copies(crop: FaceCrop) -> torch.Tensor:
    """Augmented copies [COPIES, 3, 128, 128] of a crop: mirrored, recoloured, covered, blurred."""
    image = torch.tensor(crop.image).permute(2, 0, 1).expand(COPIES, -1, -1, -1)
    points = torch.from_numpy(crop.crop_landmarks).float().expand(COPIES, -1, -1)
    return augment(image, points, None, Whole(), CHANGES, torch.Generator().manual_seed(0))[0]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, help="folder of shards with several views a head")
    parser.add_argument("--photos", type=Path, help="folder of portraits of different people")
    parser.add_argument("--faces", type=Path, help="folder of photographs with people (faces.jsonl, crops)")
    parser.add_argument("--smiles", nargs="*", default=[], help="names, without suffix, of the photos that smile")
    parser.add_argument("--emotion", default="emotion", help="network: built-in name or file")
    parser.add_argument("--identity", default="identity", help="network: built-in name or file")
    given = parser.parse_args()
    if not (given.renders or given.photos or given.faces):
        parser.error("nothing to measure: give --renders DIR, --photos DIR or --faces DIR")
    torch.set_num_threads(1)
    emotion, identity = pretrained.load_emotion(given.emotion), pretrained.load_identity(given.identity)
    with torch.no_grad():
        if given.renders:
            on_renders(given.renders, emotion, identity)
        if given.faces:
            on_people(given.faces, identity)
        if given.photos:
            on_photos(given.photos, set(given.smiles), emotion, identity)


if __name__ == "__main__":
    main()
