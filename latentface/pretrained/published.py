"""The published networks, a table that is importable without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published network, which is downloaded on demand.

    Attributes:
        name: its name for the user. kind: "generator", "encoder", "perceptual", "landmarks" or "motion".
        summary: one line for the list. resolution: side of its pictures in pixels, if applicable.
        licence: what the publisher states. commercial: whether it allows commercial use; None if that is not stated.
        file: its name in the cache. page: where the publisher describes it.
        urls: download URLs in order of preference; empty if it must be downloaded by hand from `page`.
        bytes: its size if known, for the list only.
        sha256: of the file as kept (unpacked), in hex, or its first digits. None if it is not published; then the
            checksum of the first download is recorded.
    """

    name: str
    kind: str
    summary: str
    resolution: int | None
    licence: str
    commercial: bool | None
    file: str
    page: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None


_NVIDIA = "NVIDIA Source Code License"
_MIT_AND_NVIDIA = "MIT; generator: NVIDIA Source Code License"
_300W = "trained on 300-W"
_IMAGENET = "BSD-3-Clause; trained on ImageNet"

_NVLABS = "https://nvlabs-fi-cdn.nvidia.com"
_TORCHVISION = "https://download.pytorch.org/models"
_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_CLIBDEV = "https://github.com/clibdev/stylegan2-pytorch/releases/latest/download"
_GRAPHEME = "https://github.com/graphemecluster/first-order-model-demo/releases/download/checkpoints"
_HAIRFAST = "https://huggingface.co/AIRI-Institute/HairFastGAN/resolve/main/pretrained_models"


def _ngc(dataset: str, resolution: int, summary: str) -> Published:
    """A StyleGAN2 of the collection that NVIDIA published with StyleGAN3; all of them are named by one pattern."""
    file = f"stylegan2-{dataset}-{resolution}x{resolution}.pkl"
    return Published(
        name=f"{dataset}-{resolution}",
        kind="generator",
        summary=summary,
        resolution=resolution,
        licence=_NVIDIA,
        commercial=False,
        file=file,
        page="https://github.com/NVlabs/stylegan3",
        urls=(f"https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files/{file}",),
    )


PUBLISHED: tuple[Published, ...] = (
    _ngc("ffhq", 1024, "faces"),
    _ngc("ffhq", 512, "faces"),
    _ngc("ffhq", 256, "faces"),
    _ngc("ffhqu", 1024, "faces as photographed, not aligned"),
    _ngc("ffhqu", 256, "faces as photographed, not aligned"),
    _ngc("celebahq", 256, "faces of celebrities"),
    _ngc("metfaces", 1024, "faces in works of art"),
    _ngc("metfacesu", 1024, "faces in works of art, not aligned"),
    _ngc("afhqv2", 512, "cats, dogs and wild animals"),
    _ngc("afhqcat", 512, "cats"),
    _ngc("afhqdog", 512, "dogs"),
    _ngc("afhqwild", 512, "wild animals"),
    Published(
        name="ffhq-1024-ada",
        kind="generator",
        summary="faces, as published with StyleGAN2-ADA",
        resolution=1024,
        licence=_NVIDIA,
        commercial=False,
        file="ffhq.pkl",
        page="https://github.com/NVlabs/stylegan2-ada-pytorch",
        urls=(f"{_NVLABS}/stylegan2-ada-pytorch/pretrained/ffhq.pkl",),
    ),
    Published(
        name="ffhq70k-256",
        kind="generator",
        summary="faces, 70 000 photos with ADA",
        resolution=256,
        licence=_NVIDIA,
        commercial=False,
        file="ffhq70k-paper256-ada.pkl",
        page="https://github.com/NVlabs/stylegan2-ada-pytorch",
        urls=(f"{_NVLABS}/stylegan2-ada-pytorch/pretrained/paper-fig7c-training-set-sweeps/ffhq70k-paper256-ada.pkl",),
    ),
    Published(
        name="ffhq140k-256",
        kind="generator",
        summary="faces, 70 000 photos and their mirror images",
        resolution=256,
        licence=_NVIDIA,
        commercial=False,
        file="ffhq140k-paper256-noaug.pkl",
        page="https://github.com/NVlabs/stylegan2-ada-pytorch",
        urls=(
            f"{_NVLABS}/stylegan2-ada-pytorch/pretrained/paper-fig7c-training-set-sweeps/ffhq140k-paper256-noaug.pkl",
        ),
    ),
    Published(
        name="ffhq-1024-tf",
        kind="generator",
        summary="faces, the first StyleGAN2 (config F, TensorFlow)",
        resolution=1024,
        licence=_NVIDIA,
        commercial=False,
        file="stylegan2-ffhq-config-f.pkl",
        page="https://github.com/NVlabs/stylegan2",
        urls=(
            f"{_NVLABS}/stylegan2/networks/stylegan2-ffhq-config-f.pkl",
            f"{_CLIBDEV}/stylegan2-ffhq-config-f.pkl",
        ),
        bytes=381_673_535,
        sha256="adf127ea7bb8a7788c8bdeda3c9937f7310b669b09ecf799ca53a631ff46948d",
    ),
    Published(
        name="ffhq-1024-rosinality",
        kind="generator",
        summary="faces, config F converted for rosinality's code",
        resolution=1024,
        licence=_NVIDIA,
        commercial=False,
        file="stylegan2-ffhq-config-f.pt",
        page="https://github.com/clibdev/stylegan2-pytorch",
        urls=(f"{_CLIBDEV}/stylegan2-ffhq-config-f.pt",),
        sha256="37dd0b9722af1788f016f1472416cfdbf6628777ddd8345d57cca15efdac4e89",
    ),
    Published(
        name="ffhq-256-rosinality",
        kind="generator",
        summary="faces, trained by rosinality for 550 000 steps",
        resolution=256,
        licence="not stated; trained on FFHQ",
        commercial=None,
        file="rosinality-ffhq-550000.pt",
        page="https://github.com/rosinality/stylegan2-pytorch",
        urls=(f"{_DRIVE}1PQutd-JboOCOZqmd95XWxWrO8gGEvRcO",),
    ),
    Published(
        name="e4e-ffhq",
        kind="encoder",
        summary="photo to W+, near W for editing; its generator",
        resolution=1024,
        licence=_MIT_AND_NVIDIA,
        commercial=False,
        file="e4e_ffhq_encode.pt",
        page="https://github.com/omertov/encoder4editing",
        urls=(f"{_DRIVE}1cUv_reLE6k3604or78EranS7XzuVMWeO", f"{_HAIRFAST}/encoder4editing/e4e_ffhq_encode.pt"),
        bytes=1_201_649_680,
    ),
    Published(
        name="psp-ffhq",
        kind="encoder",
        summary="photo to W+; its generator",
        resolution=1024,
        licence=_MIT_AND_NVIDIA,
        commercial=False,
        file="psp_ffhq_encode.pt",
        page="https://github.com/eladrich/pixel2style2pixel",
        urls=(f"{_DRIVE}1bMTNWkh5LArlaWSc_wa8VKyq2V42T2z0",),
    ),
    Published(
        name="vgg16",
        kind="perceptual",
        summary="VGG-16 of torchvision, backbone of LPIPS",
        resolution=None,
        licence=_IMAGENET,
        commercial=None,
        file="vgg16-397923af.pth",
        page="https://github.com/pytorch/vision",
        urls=(f"{_TORCHVISION}/vgg16-397923af.pth",),
        bytes=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    Published(
        name="alexnet",
        kind="perceptual",
        summary="AlexNet of torchvision, backbone of LPIPS",
        resolution=None,
        licence=_IMAGENET,
        commercial=None,
        file="alexnet-owt-7be5be79.pth",
        page="https://github.com/pytorch/vision",
        urls=(f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",),
        bytes=244_408_911,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    Published(
        name="squeezenet1_1",
        kind="perceptual",
        summary="SqueezeNet 1.1 of torchvision, backbone of LPIPS",
        resolution=None,
        licence=_IMAGENET,
        commercial=None,
        file="squeezenet1_1-b8a52dc0.pth",
        page="https://github.com/pytorch/vision",
        urls=(f"{_TORCHVISION}/squeezenet1_1-b8a52dc0.pth",),
        bytes=4_958_839,
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    ),
    Published(
        name="dlib-68",
        kind="landmarks",
        summary="68 points by dlib",
        resolution=None,
        licence=_300W,
        commercial=False,
        file="shape_predictor_68_face_landmarks.dat",
        page="https://github.com/davisking/dlib-models",
        urls=(
            "https://dlib.net/files/shape_predictor_68_face_landmarks.dat.bz2",
            "https://github.com/davisking/dlib-models/raw/master/shape_predictor_68_face_landmarks.dat.bz2",
        ),
        bytes=99_693_937,
        sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
    ),
    Published(
        name="dlib-68-gtx",
        kind="landmarks",
        summary="68 points by dlib, smaller and steadier",
        resolution=None,
        licence=_300W,
        commercial=False,
        file="shape_predictor_68_face_landmarks_GTX.dat",
        page="https://github.com/davisking/dlib-models",
        urls=("https://github.com/davisking/dlib-models/raw/master/shape_predictor_68_face_landmarks_GTX.dat.bz2",),
    ),
    Published(
        name="fomm-vox",
        kind="motion",
        summary="First Order Motion Model for faces",
        resolution=256,
        licence="MIT; trained on VoxCeleb",
        commercial=None,
        file="vox-cpk.pth.tar",
        page="https://github.com/AliaksandrSiarohin/first-order-model",
        urls=(f"{_GRAPHEME}/vox-cpk.pth.tar",),
    ),
    Published(
        name="fomm-vox-adv",
        kind="motion",
        summary="the same, further trained with a discriminator",
        resolution=256,
        licence="MIT; trained on VoxCeleb",
        commercial=None,
        file="vox-adv-cpk.pth.tar",
        page="https://github.com/AliaksandrSiarohin/first-order-model",
        urls=(f"{_GRAPHEME}/vox-adv-cpk.pth.tar",),
    ),
)
