"""Package metadata; build backend and tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "latentface/_version.py").read_text(), re.MULTILINE)
assert VERSION is not None
ONNX = ["onnx", "onnxruntime", "onnxscript", "torch>=2.6"]

setup(
    name="latentface",
    version=VERSION[1],
    description="Invert a person's own photo into StyleGAN2's W+ space and edit its expression there",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="latentface contributors",
    license="MIT",
    license_files=["LICENSE"],
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
        "scipy>=1.11",
        "pillow>=10.1",
        "dlib-bin",
        "lpips",
        "scikit-learn",
        "pulp>=3.3",
        "click>=8.1",
        "rich",
        "safetensors>=0.4.3",
        "platformdirs",
        "filelock",
        # add_stream_from_template: sound is copied packet by packet
        "av>=14",
        'tomli; python_version < "3.11"',
    ],
    extras_require={
        "synth": ["moderngl"],
        "ui": ["gradio"],
        "heic": ["pillow-heif>=0.22"],
        "onnx": ONNX,
        # nvcc and the headers it needs, for native operations on a GPU without a CUDA toolkit
        "cuda": ["cuda-toolkit[nvcc,cccl]>=13; sys_platform == 'linux'"],
        # setuptools: the test of the wheel builds one without going to the network
        "dev": [
            "pytest>=8",
            "hypothesis",
            # drives the browser that the page's tests look at
            "playwright",
            "ruff",
            "mypy",
            "import-linter>=2.6",
            "scikit-image",
            "setuptools>=77",
            *ONNX,
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
