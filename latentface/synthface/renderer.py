"""Headless renderer: a Scene on a dressed head -> image, 68 landmarks and a mask, framed by the face crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.synthface import shaders
from latentface.synthface.camera import CropCamera, crop_camera
from latentface.synthface.head import vertex_normals
from latentface.synthface.library import Library
from latentface.synthface.pose import IRIS, SCLERA, Pose, eyeballs, shape
from latentface.synthface.scene import Scene, sample_view
from latentface.synthface.wardrobe import Garment

if TYPE_CHECKING:
    import moderngl

IRIS_RADIUS = 0.62  # centimetres; the human iris is 11.7 mm across
# Material group -> program and the materials it draws.
GROUPS = {
    "skin": ("skin", ("M_Face", "M_BackHead")),
    "gums": ("mouth", ("M_GumsTongue",)),
    "teeth": ("mouth", ("M_Teeth",)),
    "iris": ("eye", IRIS),
    "sclera": ("eye", SCLERA),
}
# Linear colour, the depths at rest between which the mouth goes from dark to lit (centimetres), gloss.
MOUTH_LOOKS: dict[str, dict[str, float | tuple[float, ...]]] = {
    "gums": {"base": (0.36, 0.10, 0.09), "depth_range": (4.0, 11.0), "gloss": 0.8},
    "teeth": {"base": (0.62, 0.56, 0.46), "depth_range": (5.5, 10.4), "gloss": 0.9},
}
OPEN_COLLAR = (1e3, 0.0, 0.0)
ALPHA_CUTOFF = {"torso": 0.0, "brow": 0.25, "lash": 0.35, "hair": 0.35, "beard": 0.4, "glasses": 0.0}
STRANDS = ("hair", "beard")  # materials with hair highlights


@dataclass(frozen=True, eq=False)
class Render:
    """A rendered scene and its ground truth.

    ``image`` uint8 RGB [S, S, 3], ``landmarks`` float32 [68, 2] in crop pixels (integers at pixel centres), ``mask``
    uint8 [S, S] (255 on the person), and the scene itself.
    """

    image: NDArray[np.uint8]
    landmarks: Float32Array
    mask: NDArray[np.uint8]
    scene: Scene


def create_context() -> moderngl.Context:
    """A windowless OpenGL 3.3 context through EGL. Raises InputError when the machine offers none."""
    try:
        import moderngl

        # The stubs type every setting as a dict.
        return moderngl.create_context(standalone=True, backend=cast(Any, "egl"))
    except Exception as error:  # moderngl raises bare Exception
        hint = "install the extra synth, and Mesa's EGL (Debian: libegl1 libgl1-mesa-dri)"
        raise InputError(f"no headless OpenGL on this machine ({error}): {hint}") from error


class Renderer:
    """Renders scenes of one library at ``size`` pixels; each pixel is the mean of supersample^2 shaded samples."""

    def __init__(self, library: Library, size: int = 128, supersample: int = 2) -> None:
        self.library, self.head = library, library.head
        self.size, self.supersample = size, supersample
        self.context = create_context()
        side = size * supersample
        self._target = self.context.framebuffer(
            self.context.renderbuffer((side, side), 4), self.context.depth_renderbuffer((side, side))
        )
        self._programs = _compile(self.context)
        self._eyes = eyeballs(self.head)
        self._moving = self.context.buffer(reserve=len(self.head.vertices) * 24)
        self._bodies = self._upload_head()
        self._cards = {g.name: _Card(self.context, self._programs["garment"], g) for g in library.wardrobe.garments}
        self._skins = [_texture(self.context, skin) for skin in library.wardrobe.skins]
        self._masks = _texture(self.context, library.wardrobe.masks)
        self._skin_gain, self._skull_radius = library.skin_gain, library.skull_radius
        corners = self.context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._backdrop = self.context.vertex_array(self._programs["backdrop"], [(corners, "2f", "place")])

    def sample(self, seed: int, views: int = 1) -> Render:
        """Render the scene of a seed; see `scene.sample_view` for several views of one person."""
        return self.render(sample_view(seed, views, self.library.sizes, len(self.head.identity_deltas)))

    def render(self, scene: Scene, camera: CropCamera | None = None) -> Render:
        """Render a scene, by default as a face crop. The same scene gives the same bytes on the same machine."""
        with self.context:  # another context may have been used since
            return self._render(scene, camera)

    def _render(self, scene: Scene, camera: CropCamera | None) -> Render:
        pose = Pose.of(scene)
        shaped = shape(self.head, self._eyes, scene)
        posed = pose.apply(shaped, self.head.vertices)
        landmarks = posed[self.head.landmarks68]
        camera = camera or crop_camera(landmarks, scene.distance)
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        self._set_light(scene, camera, pose)
        self._render_backdrop(scene)
        self.context.enable(self.context.DEPTH_TEST)
        self._render_head(scene, posed)
        displacement = shaped - self.head.vertices
        for garment, colour in self._worn(scene):
            points = pose.apply(garment.follow(displacement), garment.rest)
            self._render_garment(scene, garment, colour, points, garment.normals @ pose.head.T)
        image, mask = self._read(scene)
        return Render(image, camera.pixels(landmarks, self.size), mask, scene)

    def _upload_head(self) -> dict[str, tuple[str, moderngl.VertexArray]]:
        """A vertex array a material group, all on one moving and one still vertex buffer."""
        still = np.concatenate([self.head.vertices, self.head.uv, self.library.visibility], 1).astype("f4")
        resting = self.context.buffer(still.tobytes())
        attributes = (("rest", "3f"), ("uv", "2f"), ("sky0", "3f"), ("sky1", "3f"), ("sky2", "3f"))
        bodies = {}
        for name, (program_name, materials) in GROUPS.items():
            triangles = self.head.triangles_of(*materials)
            if not len(triangles):
                continue
            program = self._programs[program_name]
            used = [a for a, _ in attributes if a in program]
            layout = " ".join(f if a in program else f"{4 * int(f[0])}x" for a, f in attributes)
            content = [(self._moving, "3f 3f", "place", "normal"), (resting, layout, *used)]
            index = self.context.buffer(triangles.astype("i4").tobytes())
            bodies[name] = (program_name, self.context.vertex_array(program, content, index))
        return bodies

    def _set_light(self, scene: Scene, camera: CropCamera, pose: Pose) -> None:
        values = {
            "project": camera.project.T,
            "camera": camera.position,
            "sky": scene.ambient[0],
            "ground": scene.ambient[1],
            "exposure": scene.exposure,
            "light_direction": np.stack([light.direction for light in scene.lights]),
            "light_colour": np.stack([light.colour for light in scene.lights]),
            # World -> head is the transposed head rotation; GLSL reads columns first, so the rotation's rows are it.
            "to_head": pose.head,
        }
        for program in self._programs.values():
            _set(program, values)

    def _render_backdrop(self, scene: Scene) -> None:
        picture = np.ascontiguousarray(scene.backdrop, np.float32)
        sheet = self.context.texture((picture.shape[1], picture.shape[0]), 3, picture.tobytes(), dtype="f4")
        sheet.filter = (self.context.LINEAR, self.context.LINEAR)
        sheet.repeat_x = sheet.repeat_y = False
        sheet.use(0)
        self.context.disable(self.context.DEPTH_TEST)
        self._backdrop.render()
        sheet.release()

    def _render_head(self, scene: Scene, posed: Float32Array) -> None:
        self._moving.write(np.concatenate([posed, vertex_normals(self.head, posed)], 1).astype("f4").tobytes())
        self._skins[scene.skin].use(0)
        self._masks.use(1)
        skin = {
            "masks": 1,
            "tint": scene.skin_tint * self._skin_gain[scene.skin],
            "gamma": scene.skin_gamma,
            "shine": scene.shine,
            "lips": scene.lips,
            "blush": scene.blush,
            "hair": scene.hair_colour,
            "stubble": scene.stubble,
            "scalp": scene.scalp,
        }
        _set(self._programs["skin"], skin)
        if self._eyes:
            centres = np.stack([eye.centre for eye in self._eyes])
            _set(self._programs["eye"], {"iris": scene.iris, "centres": centres, "radius": IRIS_RADIUS})
        for name, (program_name, body) in self._bodies.items():
            if program_name == "eye":
                _set(self._programs["eye"], {"cornea": name == "sclera"})
            elif program_name == "mouth":
                _set(self._programs["mouth"], MOUTH_LOOKS[name])
            body.render()

    def _worn(self, scene: Scene) -> list[tuple[Garment, Float32Array]]:
        """The garments of a scene with their linear colours."""
        wardrobe = self.library.wardrobe
        worn = [(garment, scene.cloth) for garment in wardrobe.of_kind("torso")]
        hair = scene.hair_colour
        choices = (
            ("beard", scene.beard, 0.8 * hair), ("brow", scene.brow, 0.7 * hair), ("lash", scene.lash, 0.25 * hair),
            ("hair", scene.hair, hair), ("glasses", scene.glasses, scene.glasses_colour),
        )  # fmt: skip
        worn += [(wardrobe.of_kind(kind)[i], colour) for kind, i, colour in choices if i is not None]
        return worn

    def _render_garment(
        self, scene: Scene, garment: Garment, colour: Float32Array, points: Float32Array, normals: Float32Array
    ) -> None:
        card = self._cards[garment.name]
        card.buffer.write(np.concatenate([points, normals], 1).astype("f4").tobytes())
        card.texture.use(0)
        look = {
            "base": colour,
            "cutoff": ALPHA_CUTOFF[garment.kind],
            "strands": garment.kind in STRANDS,
            "brightness": card.brightness,
            "inner": self._skull_radius,
            "collar": scene.collar if garment.kind == "torso" else OPEN_COLLAR,
        }
        _set(self._programs["garment"], look)
        card.body.render()

    def _read(self, scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        side, k = self.size * self.supersample, self.supersample
        pixels = np.frombuffer(self._target.read(components=4), np.uint8).reshape(side, side, 4)[::-1]
        mean = pixels.reshape(self.size, k, self.size, k, 4).mean((1, 3), dtype=np.float32)
        rng = np.random.default_rng([scene.seed, 1])  # a stream of its own: the scene was sampled from the seed itself
        grain = rng.standard_normal(mean[..., :3].shape, np.float32) * np.float32(255 * scene.noise)
        image = np.clip(np.rint(mean[..., :3] + grain), 0, 255).astype(np.uint8)
        return image, np.rint(mean[..., 3]).astype(np.uint8)


class _Card:
    """A garment's buffers on the graphics card."""

    def __init__(self, context: moderngl.Context, program: moderngl.Program, garment: Garment) -> None:
        self.buffer = context.buffer(reserve=len(garment.rest) * 24)
        still = context.buffer(np.concatenate([garment.rest, garment.uv], 1).astype("f4").tobytes())
        index = context.buffer(garment.triangles.astype("i4").tobytes())
        content = [(self.buffer, "3f 3f", "place", "normal"), (still, "3f 2f", "rest", "uv")]
        self.body = context.vertex_array(program, content, index)
        self.texture = _texture(context, garment.texture)
        opaque = garment.texture[garment.texture[..., 3] > 128]
        self.brightness = float(opaque[:, :3].mean() / 255) if len(opaque) else 1.0


def _compile(context: moderngl.Context) -> dict[str, moderngl.Program]:
    stages = {
        "skin": (shaders.VERTEX, shaders.SKIN),
        "eye": (shaders.VERTEX, shaders.EYE),
        "mouth": (shaders.PLAIN_VERTEX, shaders.MOUTH),
        "garment": (shaders.PLAIN_VERTEX, shaders.GARMENT),
        "backdrop": (shaders.BACKDROP_VERTEX, shaders.BACKDROP),
    }
    return {name: context.program(vertex_shader=v, fragment_shader=f) for name, (v, f) in stages.items()}


def _texture(context: moderngl.Context, pixels: NDArray[np.uint8]) -> moderngl.Texture:
    """A mip-mapped texture whose v axis points up."""
    height, width, channels = pixels.shape
    texture = context.texture((width, height), channels, np.ascontiguousarray(pixels[::-1]).tobytes(), alignment=1)
    texture.build_mipmaps()
    texture.filter = (context.LINEAR_MIPMAP_LINEAR, context.LINEAR)
    return texture


def _set(program: moderngl.Program, values: Mapping[str, object]) -> None:
    """Set the uniforms that the program kept (GLSL drops unused ones)."""
    for name, value in values.items():
        if name in program:
            uniform = cast("moderngl.Uniform", program[name])
            if isinstance(value, np.ndarray):
                uniform.write(np.ascontiguousarray(value, "f4").tobytes())
            else:
                uniform.value = value
