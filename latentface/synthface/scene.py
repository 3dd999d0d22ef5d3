"""Scenes: a person, an expression, a pose, light and surroundings, all sampled from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypedDict

import numpy as np
from scipy.ndimage import zoom

from latentface.arrays import Float32Array
from latentface.emotion import Emotion

EMOTIONS: Final = tuple(emotion.value for emotion in Emotion)

EMOTION_ODDS: Final = (0.22, 0.26, 0.10, 0.12, 0.10, 0.10, 0.10)  # people in photographs smile more than they fear

# Action units of the emotions after EMFACS (Friesen and Ekman, 1983), spelled as the head's shapes (AU in the comment).
# A name without _L/_R stands for both sides.
EMFACS: Final[dict[str, dict[str, float]]] = {
    "neutral": {},
    "happiness": {  # 6 12 25
        "mouthSmile": 0.95, "cheekSquint": 0.75, "mouthUpperUp": 0.25, "jawOpen": 0.10, "eyeSquint": 0.3,
    },
    "sadness": {  # 1 4 15 17
        "browInnerUp": 0.95, "browDown": 0.25, "mouthFrown": 0.95, "mouthShrugLower": 0.45, "eyeSquint": 0.2,
    },
    "surprise": {"browInnerUp": 0.9, "browOuterUp": 0.95, "eyeWide": 0.9, "jawOpen": 0.55},  # 1 2 5 26
    "anger": {  # 4 5 7 23 24
        "browDown": 1.0, "eyeWide": 0.35, "eyeSquint": 0.45, "mouthPress": 0.7, "mouthRollLower": 0.35,
        "noseSneer": 0.3, "jawForward": 0.2,
    },
    "disgust": {  # 9 10 15 16
        "noseSneer": 1.0, "mouthUpperUp": 0.6, "mouthFrown": 0.5, "browDown": 0.45, "eyeSquint": 0.5,
        "mouthShrugUpper": 0.3,
    },
    "fear": {  # 1 2 4 5 7 20 26
        "browInnerUp": 0.95, "browOuterUp": 0.5, "browDown": 0.35, "eyeWide": 0.95, "mouthStretch": 0.85,
        "jawOpen": 0.22, "mouthLowerDown": 0.35,
    },
}  # fmt: skip
# Shapes that a face at rest or talking mixes in, with their largest usual weight.
INCIDENTAL: Final = {
    "jawOpen": 0.3, "mouthPucker": 0.5, "mouthFunnel": 0.4, "mouthSmile": 0.4, "mouthPress": 0.4, "browInnerUp": 0.3,
    "browDown": 0.3, "eyeSquint": 0.4, "mouthUpperUp": 0.3, "mouthLowerDown": 0.4, "cheekPuff": 0.3, "mouthDimple": 0.4,
}  # fmt: skip
UNPAIRED: Final = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Light:
    """A distant light: unit direction towards it [3] (world), linear RGB intensity [3]."""

    direction: Float32Array
    colour: Float32Array


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything the renderer needs. Angles in degrees; colours linear RGB in 0..1; indices into the wardrobe.

    ``identity`` [I] in standard deviations; ``expression`` maps the head's shape names to weights 0..1; positive yaw
    turns the face to its left (the viewer's right), positive pitch looks down, positive roll tilts to its left;
    ``gaze`` [2] is the eyes' own yaw and pitch; ``hair`` and ``brow`` are None for none.
    """

    seed: int
    emotion: int
    strength: float
    identity: Float32Array
    expression: dict[str, float]
    gaze: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    distance: float  # camera to face, centimetres
    skin: int
    skin_tint: Float32Array  # [3]
    skin_gamma: float
    shine: float
    iris: Float32Array  # [3]
    lips: Float32Array  # [4] colour and amount
    blush: float
    hair: int | None
    hair_colour: Float32Array  # [3]
    hair_scale: float
    stubble: float  # 0..1
    scalp: float  # 0..1 painted short hair
    brow: int | None
    lash: int | None
    glasses: int | None
    glasses_colour: Float32Array  # [3]
    beard: int | None
    cloth: Float32Array  # [3]
    collar: tuple[float, float, float]  # cloth ends at rest height a + b z + c |x|, centimetres
    ambient: tuple[Float32Array, Float32Array]  # sky and ground
    lights: tuple[Light, ...]
    backdrop: Float32Array  # linear RGB [h, w, 3], stretched over the picture
    exposure: float
    noise: float  # sensor noise, standard deviation in sRGB 0..1

    def with_expression(self, emotion: str, strength: float) -> Scene:
        """The same person, light and view with another emotion at the given strength 0..1."""
        return replace(
            self, emotion=EMOTIONS.index(emotion), strength=strength, expression=emotion_shapes(emotion, strength)
        )


# What stays the same in all pictures of a person, besides the head itself.
LOOK: Final = (
    "skin", "skin_tint", "skin_gamma", "iris", "hair", "hair_colour", "hair_scale", "stubble", "scalp", "brow", "lash",
    "glasses", "glasses_colour", "beard",
)  # fmt: skip


def paired(name: str, weight: float, asymmetry: float = 0.0) -> dict[str, float]:
    """Weights of a shape on both sides; an asymmetry of -1..1 weakens the left or the right one."""
    if name in UNPAIRED:
        return {name: weight}
    return {f"{name}_L": weight * (1 - max(asymmetry, 0.0)), f"{name}_R": weight * (1 + min(asymmetry, 0.0))}


def emotion_shapes(emotion: str, strength: float, rng: np.random.Generator | None = None) -> dict[str, float]:
    """Shape weights of an emotion; a generator adds the variation between people and moments."""
    shapes: dict[str, float] = {}
    for name, weight in EMFACS[emotion].items():
        vary = float(np.clip(rng.normal(1.0, 0.18), 0.4, 1.4)) if rng else 1.0
        asymmetry = float(np.clip(rng.normal(0, 0.1), -0.4, 0.4)) if rng else 0.0
        shapes |= {k: min(v, 1.2) for k, v in paired(name, weight * strength * vary, asymmetry).items()}
    if rng and emotion == "happiness" and rng.random() < 0.6:  # an open, toothy smile
        shapes |= paired("mouthUpperUp", 0.7 * strength) | paired("mouthLowerDown", 0.35 * strength)
        shapes["jawOpen"] = 0.12 + 0.18 * strength * float(rng.random())
    return shapes


def sample_scene(seed: int, wardrobe_sizes: dict[str, int], identity_modes: int = 100) -> Scene:
    """A scene from a seed. ``wardrobe_sizes`` counts skins, hair, brow and lash to choose from."""
    rng = np.random.default_rng(seed)
    emotion = int(rng.choice(len(EMOTIONS), p=EMOTION_ODDS))
    strength = float(rng.uniform(0.35, 1.0))
    face = _expression(rng, EMOTIONS[emotion], strength)
    gaze = (float(rng.normal(0, 9)), float(rng.normal(0, 6)))
    sky, ground, lights = _lighting(rng)
    person, worn = _person(rng, wardrobe_sizes), _accessories(np.random.default_rng([seed, 3]), wardrobe_sizes)
    if worn["beard"] is not None:
        person["stubble"] = 0.9  # the skin under a beard is not bare
    return Scene(
        seed=seed,
        emotion=emotion,
        strength=strength,
        identity=np.clip(rng.normal(0, 0.95, identity_modes), -2.5, 2.5).astype(np.float32),
        expression=face,
        gaze=gaze,
        yaw=float(np.clip(rng.normal(0, 15), -42, 42)),
        pitch=float(np.clip(rng.normal(0, 7), -20, 20)),
        roll=float(np.clip(rng.normal(0, 5), -20, 20)),
        distance=float(np.exp(rng.uniform(np.log(45), np.log(220)))),
        ambient=(sky, ground),
        lights=lights,
        backdrop=_backdrop(rng),
        exposure=float(np.exp(rng.normal(0.0, 0.16))),
        noise=float(max(0.0, rng.normal(0.006, 0.006))),
        **person,
        **worn,
    )


def sample_view(seed: int, views: int, wardrobe_sizes: dict[str, int], identity_modes: int = 100) -> Scene:
    """The scene of a seed; ``views`` consecutive seeds share a person. With one view, this is `sample_scene`.

    The person is sampled from the first of these seeds. People come in pairs that share the LOOK, so that only the
    shape of the head tells the two apart.
    """

    def sample(of: int) -> Scene:
        return sample_scene(of, wardrobe_sizes, identity_modes)

    scene = sample(seed)
    if views == 1:
        return scene
    person, look = sample(seed // views * views), sample(seed // (2 * views) * 2 * views)
    return replace(scene, identity=person.identity, **{name: getattr(look, name) for name in LOOK})


def _expression(rng: np.random.Generator, emotion: str, strength: float) -> dict[str, float]:
    shapes = emotion_shapes(emotion, strength, rng)
    for name in rng.choice(list(INCIDENTAL), size=int(rng.integers(0, 4)), replace=False):
        extra = paired(str(name), INCIDENTAL[str(name)] * float(rng.random()) * (1.0 if emotion == "neutral" else 0.4))
        shapes = {k: max(shapes.get(k, 0.0), extra.get(k, 0.0)) for k in shapes | extra}
    if rng.random() < 0.06:
        shapes |= paired("eyeBlink", float(rng.uniform(0.5, 1.0)))
    return shapes


# Hair colours, linear RGB of the lit strand: black, dark brown, brown, chestnut, dark blond, blond, red, grey, white.
HAIR_COLOURS: Final = np.array(
    [[.012, .010, .010], [.030, .018, .012], [.070, .040, .022], [.110, .050, .025], [.200, .130, .065],
     [.380, .270, .140], [.220, .070, .025], [.230, .220, .210], [.550, .540, .520]], np.float32)  # fmt: skip
HAIR_ODDS: Final = np.array([0.24, 0.22, 0.16, 0.08, 0.08, 0.07, 0.04, 0.07, 0.04])
IRIS_COLOURS: Final = np.array(
    [[.045, .020, .010], [.090, .045, .018], [.110, .085, .030], [.070, .110, .060], [.085, .140, .210],
     [.130, .150, .170]], np.float32)  # fmt: skip


class _Person(TypedDict):
    """Fields of a `Scene` that describe skin, hair and clothes."""

    skin: int
    skin_tint: Float32Array
    skin_gamma: float
    shine: float
    iris: Float32Array
    lips: Float32Array
    blush: float
    hair: int | None
    hair_colour: Float32Array
    hair_scale: float
    stubble: float
    scalp: float
    brow: int | None
    lash: int | None
    collar: tuple[float, float, float]
    cloth: Float32Array


class _Accessories(TypedDict):
    """Fields of a `Scene` that describe spectacles and beard."""

    glasses: int | None
    glasses_colour: Float32Array
    beard: int | None


def _person(rng: np.random.Generator, sizes: dict[str, int]) -> _Person:
    tone = float(rng.uniform(-2.8, 0.5))  # darker to lighter than the photographed skin
    tint = np.exp(np.array([0.34, 0.48, 0.56]) * tone + rng.normal(0, 0.05, 3)).astype(np.float32)
    colour = HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=HAIR_ODDS)] * np.exp(
        rng.normal(0, 0.25) + rng.normal(0, 0.04, 3)
    ).astype(np.float32)
    bald = rng.random() < 0.12
    lips = np.array([*rng.uniform((0.2, 0.02, 0.03), (0.55, 0.14, 0.14)), 0.0], np.float32)
    lips[3] = rng.uniform(0.2, 0.7) if rng.random() < 0.35 else rng.uniform(0, 0.15)
    return {
        "skin": int(rng.integers(sizes["skin"])),
        "skin_tint": tint,
        "skin_gamma": float(np.exp(rng.normal(0, 0.12))),
        "shine": float(rng.uniform(0.1, 0.9)),
        "iris": IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))] * np.exp(rng.normal(0, 0.15, 3)).astype(np.float32),
        "lips": lips,
        "blush": float(max(0.0, rng.normal(0.1, 0.15))),
        "hair": None if bald or not sizes["hair"] else int(rng.integers(sizes["hair"])),
        "hair_colour": colour,
        "hair_scale": float(np.exp(rng.normal(0, 0.02))),
        "stubble": float(rng.uniform(0.1, 0.7)) if rng.random() < 0.3 else 0.0,
        "scalp": float(rng.uniform(0.0, 0.9)) if bald else float(rng.uniform(0.8, 1.0)),
        "brow": int(rng.integers(sizes["brow"])) if sizes["brow"] else None,
        "lash": int(rng.integers(sizes["lash"])) if sizes["lash"] and rng.random() < 0.8 else None,
        "collar": (float(rng.uniform(-14.5, -9.5)), float(rng.uniform(-0.35, 0.0)), float(rng.uniform(-0.05, 0.15))),
        "cloth": np.exp(rng.normal(-2.2, 1.0, 1) + rng.normal(0, 0.35, 3)).clip(0.005, 0.8).astype(np.float32),
    }


# Frames, linear RGB: black, dark tortoise, tortoise, grey metal, gold, red, blue.
GLASSES_COLOURS: Final = np.array(
    [[.010, .010, .010], [.030, .014, .006], [.120, .050, .018], [.220, .220, .230], [.400, .280, .110],
     [.200, .015, .015], [.015, .030, .100]], np.float32)  # fmt: skip


def _accessories(rng: np.random.Generator, sizes: dict[str, int]) -> _Accessories:
    """Spectacles and beards for some people; a stream of their own, so that the rest of the scene is unchanged."""
    glasses, beard = sizes.get("glasses", 0), sizes.get("beard", 0)
    return {
        "glasses": int(rng.integers(glasses)) if glasses and rng.random() < 0.16 else None,
        "glasses_colour": GLASSES_COLOURS[rng.integers(len(GLASSES_COLOURS))],
        "beard": int(rng.integers(beard)) if beard and rng.random() < 0.14 else None,
    }


def _lighting(rng: np.random.Generator) -> tuple[Float32Array, Float32Array, tuple[Light, ...]]:
    warmth = rng.normal(0, 0.08)
    white = np.array([1 + warmth, 1.0, 1 - warmth])
    sky = white * rng.uniform(0.25, 0.75)
    ground = sky * np.array([1.05, 0.95, 0.85]) * rng.uniform(0.25, 0.8)
    key = Light(
        _direction(rng, 55, (-5, 55)), (white * rng.uniform(0.35, 1.15) * np.array([1.03, 1, 0.97])).astype(np.float32)
    )
    fill = Light(_direction(rng, 80, (-30, 40)), (white[::-1] * rng.uniform(0.0, 0.4)).astype(np.float32))
    rim_turn = 180 + rng.normal(0, 45)
    rim = Light(_angles(rim_turn, rng.uniform(0, 50)), (white * rng.uniform(0.0, 0.5)).astype(np.float32))
    return sky.astype(np.float32), ground.astype(np.float32), (key, fill, rim)


def _direction(rng: np.random.Generator, spread: float, heights: tuple[float, float]) -> Float32Array:
    return _angles(float(np.clip(rng.normal(0, spread), -110, 110)), float(rng.uniform(*heights)))


def _angles(turn: float, height: float) -> Float32Array:
    """Unit direction at degrees around the head (0 in front, 90 at its left) and above the horizon."""
    t, h = np.radians(turn), np.radians(height)
    return np.array([np.sin(t) * np.cos(h), np.sin(h), np.cos(t) * np.cos(h)], np.float32)


def _backdrop(rng: np.random.Generator) -> Float32Array:
    """A plain, graded or out-of-focus background [h, w, 3]."""
    base = np.exp(rng.normal(-1.6, 0.9)) * np.exp(rng.normal(0, 0.14, 3))
    kind = rng.random()
    if kind < 0.3:  # studio wall with fall-off
        fall = np.linspace(rng.uniform(0.4, 1.2), rng.uniform(0.4, 1.2), 16)[:, None, None]
        picture = base * fall * np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.2), 16)[None, :, None]
    else:  # blurred surroundings: coarse random patches, some with a straight edge
        size = int(rng.integers(3, 9))
        patches = np.exp(rng.normal(0, rng.uniform(0.2, 0.8), (size, size, 1)) + rng.normal(0, 0.1, (size, size, 3)))
        picture = zoom(base * patches, (48 / size, 48 / size, 1), order=2, mode="nearest")
        if kind > 0.65:
            column = int(rng.integers(0, picture.shape[1]))
            picture[:, column:] *= np.exp(rng.normal(0, 0.5) + rng.normal(0, 0.1, 3))
    backdrop: Float32Array = np.clip(picture, 0, 1.5).astype(np.float32)
    return backdrop
