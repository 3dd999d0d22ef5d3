"""Package metadata; build backend and tool settings are in pyproject.toml.

Whoever publishes sets LATENTFACE_HOMEPAGE to the address of the repository (https://HOST/OWNER/latentface): the
README's links then lead there, and the package names its pages. Without it, links to files are left out of the
description, since they would lead nowhere.
"""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "latentface/_version.py").read_text(), re.MULTILINE)
assert VERSION is not None
HOMEPAGE = os.environ.get("LATENTFACE_HOMEPAGE", "").rstrip("/")
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")
PAGES = {
    "Documentation": "blob/main/docs/index.md",
    "Source": "",
    "Issues": "issues",
    "Changelog": "blob/main/CHANGELOG.md",
}
ONNX = ["onnx", "onnxruntime", "onnxscript", "torch>=2.6"]


def description() -> str:
    """The README with absolute links, or without links to files where it is not known what they would lead to."""

    def absolute(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if HOMEPAGE:
            return f"{mark}[{text}]({HOMEPAGE}/{'raw' if mark else 'blob'}/main/{target})"
        return "" if mark else text

    return LINK.sub(absolute, (ROOT / "README.md").read_text(encoding="utf-8"))


setup(
    name="latentface",
    version=VERSION[1],
    description="Change the expression of a face in your own photo, through StyleGAN2's latent space",
    long_description=description(),
    long_description_content_type="text/markdown",
    author="latentface contributors",
    license="MIT",
    license_files=["LICENSE", "NOTICE"],
    keywords=["face editing", "facial expression", "GAN inversion", "StyleGAN2", "video"],
    project_urls={name: f"{HOMEPAGE}/{page}".rstrip("/") for name, page in PAGES.items()} if HOMEPAGE else {},
    python_requires=">=3.10",
    packages=find_packages(include=["latentface", "latentface.*"]),
    package_data={
        "latentface": ["py.typed"],
        "latentface.ops": ["csrc/*"],
        "latentface.pretrained": ["weights/*.safetensors", "weights/*.md", "weights/SHA256SUMS"],
    },
    include_package_data=False,
    entry_points={"console_scripts": ["latentface = latentface.cli:main"]},
    install_requires=[
        "torch>=2.4",
        "ninja",
        "numpy>=1.26",
        "scipy>=1.12",
        # reads and writes AVIF
        "pillow>=11.3",
        "dlib-bin",
        "scikit-learn",
        # from release 4 on the solver CBC comes in an extra of 550 MB, and results are read otherwise
        "pulp>=3.3.1,<4",
        "click>=8.2",
        "rich",
        # torch.uint16
        "safetensors>=0.6.2",
        "platformdirs",
        "filelock",
        # processes of batches, which report one that has died
        "loky",
        # files with URLs
        "fsspec",
        # from 17.1 on frames know their transfer curve; with 19 sound that starts late is copied with other times
        "av>=17.1,<19",
        'tomli; python_version < "3.11"',
    ],
    extras_require={
        "synth": ["moderngl"],
        "ui": ["gradio"],
        "cluster": ["ray"],
        "heic": ["pillow-heif>=0.22"],
        # Content Credentials; it brings cryptography along
        "c2pa": ["c2pa-python>=0.38"],
        # quantised networks; writing them takes the extra `onnx`
        "runtime": ["onnxruntime"],
        "onnx": ONNX,
        # the linear heads of the published LPIPS; it brings torchvision along
        "lpips": ["lpips"],
        # nvcc and the headers it needs, for native operations on a GPU without a CUDA toolkit
        "cuda": ["cuda-toolkit[nvcc,cccl]>=13; sys_platform == 'linux'"],
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10", "mkdocstrings[python]>=0.28", "latex2mathml>=3.77"],
        # setuptools: the test of the wheel builds one without going to the network
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis",
            # drives the browser that the page's tests look at
            "playwright",
            "ray",
            "ruff",
            "mypy",
            "import-linter>=2.6",
            "scikit-image",
            "lpips",
            "pillow-heif>=0.22",
            "c2pa-python>=0.38",
            "setuptools>=77",
            *ONNX,
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
)
