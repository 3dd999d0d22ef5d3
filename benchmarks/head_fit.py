"""How near fitted heads come to the truth, with and without the built-in reader.

    python -m latentface.training.head_reader_data --heads heads.npz -o DIR --count 500 --first 700000 --size 256
    python benchmarks/head_fit.py --renders DIR --count 300 --photos NEUTRAL SMILING

The renders must be of seeds that the training never saw. Landmarks are those that the built-in network finds. Of each
folder of photos, whose people show one expression, it prints the mean weight of each shape.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import latentface as lf
from latentface import hub
from latentface.errors import InputError
from latentface.faces.alignment import box_around
from latentface.head.fitting import fit_head
from latentface.head.gaze import Gaze
from latentface.io.images import list_photos

SHOWN = 0.1  # weight from which a shape counts as shown
ARRAYS = ("images", "landmarks", "expression", "expression_names", "pose", "gaze")


def fit(photo: np.ndarray, points: np.ndarray, with_reader: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, pose and gaze of a face; InputError when it cannot be fitted."""
    model = hub.head_model()
    reading = hub.head_reader()(photo, points, model.expression_names) if with_reader else None
    made = fit_head(model, points, photo, reading=reading)
    gaze = Gaze.of(made.expression_names, made.expression)
    return made.expression, np.array(made.pose), np.array([gaze.yaw, gaze.pitch])


def stems(names: tuple[str, ...]) -> dict[str, list[int]]:
    """The shapes without their sides, and where they are; gaze left out."""
    found: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        if not name.startswith("eyeLook"):
            found.setdefault(name.removesuffix("Left").removesuffix("Right"), []).append(k)
    return found


def on_renders(folder: Path, count: int) -> None:
    """Errors against the truth: all shapes, each shape, pose and gaze."""
    shards = [np.load(path) for path in sorted(folder.glob("shard-*.npz"))]
    data = {name: np.concatenate([shard[name] for shard in shards])[:count] for name in ARRAYS}
    names = hub.head_model().expression_names
    order = [list(shards[0]["expression_names"]).index(name) for name in names]
    truth = data["expression"][:, order]
    looks = np.array([name.startswith("eyeLook") for name in names])
    find = hub.landmark_predictor()
    points = [find(p, box_around(true)[None])[0] for p, true in zip(data["images"], data["landmarks"], strict=True)]
    fits = {}
    for label, with_reader in (("landmarks", False), ("reader", True)):
        made = [fit(p, at, with_reader) for p, at in zip(data["images"], points, strict=True)]
        weights, pose, gaze = (np.array(part) for part in zip(*made, strict=True))
        error, shown = np.abs(weights - truth)[:, ~looks], truth[:, ~looks] > SHOWN
        turned, aside = np.abs(pose - data["pose"]), np.abs(gaze - data["gaze"])
        print(
            f"{label}: {len(truth)} renders, weights {error.mean():.4f}, of shown shapes {error[shown].mean():.3f}, of "
            f"others {error[~shown].mean():.4f}; yaw, pitch, roll {turned.mean(0).round(2)} degrees; gaze yaw, pitch "
            f"mean {aside.mean(0).round(1)}, median {np.median(aside, 0).round(1)} degrees"
        )
        fits[label] = weights
    print(f"{'shape':16} {'shown':>5}   " + "   ".join(f"{label:>9}: shown others  r" for label in fits))
    for stem, at in stems(names).items():
        true = truth[:, at]
        cells = []
        for weights in fits.values():
            error = np.abs(weights[:, at] - true)
            likeness = np.corrcoef(weights[:, at].ravel(), true.ravel())[0, 1]
            cells.append(f"{error[true > SHOWN].mean():16.2f} {error[true <= SHOWN].mean():.3f} {likeness:.2f}")
        print(f"{stem:16} {int((true > SHOWN).sum()):5d}   " + "   ".join(cells))


def on_photos(folder: Path) -> None:
    """Mean and ninth decile of each shape's weight over photos."""
    fits: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for path in list_photos(folder):
        photo = lf.read_image(path)
        try:
            points = lf.align(photo)[0].landmarks
            both = [fit(photo, points, with_reader)[0] for with_reader in fits]
        except InputError as error:
            print(f"{path.name}: {error}")
            continue
        for kept, weights in zip(fits.values(), both, strict=True):
            kept.append(weights)
    print(f"{folder.name}: {len(fits[True])} photos; mean and ninth decile by landmarks, with the reader")
    for stem, at in stems(hub.head_model().expression_names).items():
        cells = [np.array(weights)[:, at] for weights in fits.values()]
        print(f"{stem:16} " + "   ".join(f"{part.mean():.3f} {np.percentile(part, 90):.2f}" for part in cells))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, help="folder of shard-*.npz")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of photos")
    given = parser.parse_args()
    if given.renders:
        on_renders(given.renders, given.count)
    for folder in given.photos:
        on_photos(folder)


if __name__ == "__main__":
    main()
