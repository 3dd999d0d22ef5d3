"""GLSL against numpy: the filmic curve, the spherical harmonics, and that every pair of stages links."""

from __future__ import annotations

from collections.abc import Iterator

import moderngl
import numpy as np
import pytest

from latentface.synthface import shaders
from latentface.synthface.bake import fibonacci_sphere, harmonics
from latentface.synthface.renderer import create_context


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    made = create_context()
    yield made
    made.release()


@pytest.mark.parametrize(
    ("vertex", "fragment", "uniforms"),
    [
        ("VERTEX", "SKIN", {"project", "camera", "tint", "lips", "masks", "light_direction"}),
        ("VERTEX", "EYE", {"iris", "centres", "cornea", "radius"}),
        ("PLAIN_VERTEX", "MOUTH", {"base", "depth_range", "gloss"}),
        ("PLAIN_VERTEX", "GARMENT", {"base", "cutoff", "strands", "collar", "inner"}),
        ("BACKDROP_VERTEX", "BACKDROP", {"sheet", "exposure"}),
    ],
)
def test_stages_link_and_keep_their_uniforms(
    context: moderngl.Context, vertex: str, fragment: str, uniforms: set[str]
) -> None:
    program = context.program(vertex_shader=getattr(shaders, vertex), fragment_shader=getattr(shaders, fragment))
    assert uniforms <= set(program)


def test_a_backdrop_goes_through_the_filmic_curve(context: moderngl.Context) -> None:
    """Hejl and Burgess-Dawson: (x (6.2 x + 0.5)) / (x (6.2 x + 1.7) + 0.06), x the exposed light less 0.004."""
    program = context.program(vertex_shader=shaders.BACKDROP_VERTEX, fragment_shader=shaders.BACKDROP)
    program["exposure"].value = 1.3
    levels = np.array([[0.0, 0.05, 0.3, 1.5]], np.float32).repeat(3, 0).T.reshape(1, 4, 3)
    sheet = context.texture((4, 1), 3, np.ascontiguousarray(levels).tobytes(), dtype="f4")
    sheet.filter = (moderngl.NEAREST, moderngl.NEAREST)
    sheet.use(0)
    target = context.framebuffer(context.texture((4, 1), 4, dtype="f4"))
    target.use()
    corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
    context.vertex_array(program, [(corners, "2f", "place")]).render()
    came = np.frombuffer(target.read(components=4, dtype="f4"), "f4").reshape(4, 4)
    x = np.maximum(0, levels[0, :, 0] * 1.3 * 0.9 - 0.004)
    np.testing.assert_allclose(came[:, 0], x * (6.2 * x + 0.5) / (x * (6.2 * x + 1.7) + 0.06), atol=1e-5)
    assert (came[:, 3] == 0).all()  # the backdrop is no part of the person


def test_the_harmonics_of_the_shaders_are_those_that_were_baked(context: moderngl.Context) -> None:
    """Each basis function alone: s picks one of the nine, in the order of `bake.harmonics`."""
    lighting = shaders.SKIN[: shaders.SKIN.index("uniform sampler2D skin")]
    fragment = lighting + (
        "uniform vec3 s0; uniform vec3 s1; uniform vec3 s2;\n"
        "void main() { colour = vec4(harmonic(v_place, s0, s1, s2, 1.0, 1.0)); }"
    )
    vertex = (
        "#version 330\nin vec3 place; in float at;\n"
        "out vec3 v_place; out vec3 v_normal; out vec3 v_rest; out vec2 v_uv;"
        "out vec3 v_sky0; out vec3 v_sky1; out vec3 v_sky2;\nvoid main() { v_place = place; v_normal = place;"
        "v_rest = place; v_uv = place.xy; v_sky0 = place; v_sky1 = place; v_sky2 = place;"
        "gl_Position = vec4(at, 0.0, 0.0, 1.0); gl_PointSize = 1.0; }"
    )
    program = context.program(vertex_shader=vertex, fragment_shader=fragment)
    directions = fibonacci_sphere(32)
    at = ((np.arange(32) + 0.5) / 16 - 1).astype(np.float32)[:, None]
    points = context.buffer(np.concatenate([directions, at], 1).astype("f4").tobytes())
    target = context.framebuffer(context.texture((32, 1), 4, dtype="f4"))
    target.use()
    vertices = context.vertex_array(program, [(points, "3f 1f", "place", "at")])
    for number in range(9):
        chosen = np.eye(9, dtype=np.float32)[number]
        for k in range(3):
            program[f"s{k}"].value = tuple(map(float, chosen[3 * k : 3 * k + 3]))
        target.clear()
        vertices.render(moderngl.POINTS)
        came = np.frombuffer(target.read(components=4, dtype="f4"), "f4").reshape(32, 4)[:, 0]
        np.testing.assert_allclose(came, harmonics(directions)[:, number], atol=1e-5)
