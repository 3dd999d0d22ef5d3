"""Computes, once for each head model and on the GPU, the positions of texels and soft self-shadowing."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from latentface.arrays import Float32Array, Int32Array
from latentface.synthface.head import HeadModel
from latentface.synthface.wardrobe import ATLAS_SIZE

if TYPE_CHECKING:
    import moderngl

_POSITION_VERTEX = """
#version 330
in vec3 rest; in vec2 uv; out vec3 place;
void main() { place = rest; gl_Position = vec4(uv.x - 1.0, uv.y * 2.0 - 1.0, 0.0, 1.0); }
"""
_POSITION_FRAGMENT = """
#version 330
in vec3 place; out vec4 value;
void main() { value = vec4(place, 1.0); }
"""
_DEPTH_VERTEX = """
#version 330
in vec3 place; uniform mat4 view;
void main() { gl_Position = view * vec4(place, 1.0); }
"""
_DEPTH_FRAGMENT = """
#version 330
void main() {}
"""


def texel_positions(context: moderngl.Context, head: HeadModel) -> Float32Array:
    """Rest position [H, W, 3] of every atlas texel, NaN where the skin does not reach."""
    height, width = ATLAS_SIZE
    triangles = head.triangles_of("M_Face", "M_BackHead")
    program = context.program(vertex_shader=_POSITION_VERTEX, fragment_shader=_POSITION_FRAGMENT)
    target = context.framebuffer(context.texture((width, height), 4, dtype="f4"))
    target.use()
    context.disable(context.DEPTH_TEST | context.CULL_FACE)
    target.clear()
    data = np.concatenate([head.vertices, head.uv], 1)[triangles.reshape(-1)].astype("f4")
    vertices = context.vertex_array(program, [(context.buffer(data.tobytes()), "3f 2f", "rest", "uv")])
    vertices.render()
    pixels = np.frombuffer(target.read(components=4, dtype="f4"), "f4").reshape(height, width, 4)[::-1]
    return np.where(pixels[..., 3:] > 0, pixels[..., :3], np.nan).astype(np.float32)


def visibility(
    context: moderngl.Context,
    vertices: Float32Array,
    normals: Float32Array,
    triangles: Int32Array,
    directions: int = 160,
) -> Float32Array:
    """Sky visibility (0..1) of each vertex as nine real spherical-harmonic coefficients, [V, 9].

    Depth maps from directions on a Fibonacci sphere show which are blocked; a weighted least-squares fit over the
    hemisphere above each vertex gives the coefficients (precomputed radiance transfer: Sloan, Kautz, Snyder 2002).
    """
    sky = fibonacci_sphere(directions)
    seen = np.stack([_seen_from(context, vertices, normals, triangles, d) for d in sky], 1)  # [V, D]
    basis = harmonics(sky)  # [D, 9]
    facing = normals @ sky.T
    weight = np.where(facing > 0, 0.15 + facing, 0.03).astype(np.float32)
    normal_matrix = np.einsum("vd,di,dj->vij", weight, basis, basis, optimize=True) + 1e-3 * np.eye(9)
    right = np.einsum("vd,vd,di->vi", weight, seen, basis, optimize=True)
    return np.linalg.solve(normal_matrix, right[..., None])[..., 0].astype(np.float32)


def _seen_from(
    context: moderngl.Context,
    vertices: Float32Array,
    normals: Float32Array,
    triangles: Int32Array,
    direction: Float32Array,
    size: int = 512,
) -> Float32Array:
    """1 where the vertex is lit from the direction, 0 where something blocks the light."""
    view = _orthographic(vertices, direction)
    program = context.program(vertex_shader=_DEPTH_VERTEX, fragment_shader=_DEPTH_FRAGMENT)
    depth = context.depth_texture((size, size))
    target = context.framebuffer(depth_attachment=depth)
    target.use()
    target.clear()
    context.enable(context.DEPTH_TEST)
    cast("moderngl.Uniform", program["view"]).write(view.T.astype("f4").tobytes())
    buffer = context.buffer(vertices.astype("f4").tobytes())
    index = context.buffer(triangles.astype("i4").tobytes())
    context.vertex_array(program, [(buffer, "3f", "place")], index).render()
    nearest = np.frombuffer(depth.read(), "f4").reshape(size, size)
    for resource in (buffer, index, depth, target, program):
        resource.release()
    # A shift along the normal prevents a surface from shadowing itself.
    lifted = vertices + 0.12 * normals
    clip = np.concatenate([lifted, np.ones((len(lifted), 1), np.float32)], 1) @ view.T
    column, row = (((clip[:, :2] + 1) / 2 * size).astype(int).clip(0, size - 1)).T
    lit: Float32Array = (clip[:, 2] * 0.5 + 0.5 <= nearest[row, column] + 2e-3).astype(np.float32)
    return lit


def _orthographic(vertices: Float32Array, direction: Float32Array) -> Float32Array:
    """A 4x4 view that looks along -direction with all vertices inside the clip cube."""
    forward = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), -forward])
    turned = vertices @ rotation.T
    low, high = turned.min(0) - 0.5, turned.max(0) + 0.5
    scale = 2 / (high - low)
    view = np.eye(4)
    view[:3, :3] = scale[:, None] * rotation
    view[:3, 3] = -(low + high) / 2 * scale
    return view.astype(np.float32)


def fibonacci_sphere(count: int) -> Float32Array:
    """Unit directions [count, 3], evenly spread."""
    index = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    directions = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], 1)
    return directions.astype(np.float32)


def harmonics(directions: Float32Array) -> Float32Array:
    """Real spherical harmonics of degree 0 to 2 [..., 9] at unit directions [..., 3] (the shaders use the same)."""
    x, y, z = np.moveaxis(directions, -1, 0)
    terms = [
        0.282095 * np.ones_like(x),
        0.488603 * y,
        0.488603 * z,
        0.488603 * x,
        1.092548 * x * y,
        1.092548 * y * z,
        0.315392 * (3 * z * z - 1),
        1.092548 * x * z,
        0.546274 * (x * x - y * y),
    ]
    return np.stack(terms, -1).astype(np.float32)
