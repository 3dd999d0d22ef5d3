"""Content Credentials (C2PA): signed into JPEG, PNG, WebP and MP4 files, and read from files of anybody.

They need the package c2pa-python (`pip install 'latentface[c2pa]'`), and never the network: no time stamps, no
revocation lists, no manifests on other computers. They hold no file names, no thumbnails and no personal data.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from latentface._version import __version__
from latentface.errors import InputError
from latentface.io.atomic import atomic_path
from latentface.io.kinds import picture_kind_of
from latentface.io.provenance import COMPOSITE, GENERATED, TERMS, SourceType
from latentface.provenance.certificate import find_certificate
from latentface.provenance.manifest_store import FlawError, check_form, digest_unhashed, holds_remnants

if TYPE_CHECKING:
    import c2pa

#: MIME types of the files that are signed, by their suffix.
SIGNED: Final = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4",
}  # fmt: skip
_READ: Final = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "TIFF": "image/tiff",
    "HEIC": "image/heic", "AVIF": "image/avif",
}  # fmt: skip
_READ_CLIPS: Final = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi"}
_SETTINGS: Final = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_UNTRUSTED, _EXPIRED = ".untrusted", "signingCredential.expired"
_UNHASHED: Final = "latentface.unhashed"  # our assertion about what C2PA's hash of MP4 files leaves out
INSTALL: Final = "pip install 'latentface[c2pa]'"


@dataclass(frozen=True)
class Story:
    """How a result was made, as its credentials tell it.

    Attributes:
        verb: the command.
        settings: its options as plain values; no names of files.
        sources: the files that it was made from, the edited one first.
    """

    verb: str
    settings: Mapping[str, object] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Credentials:
    """The Content Credentials of a file.

    Attributes:
        state: "valid"; "invalid" if the file or the credentials were changed after signing; "expired" if they were not,
            but the certificate has expired and nothing shows that it was signed before; "unread" where the package
            c2pa-python is missing; "lost" if the metadata name some that are gone; "elsewhere" if they name an address.
        trusted: whether the signer is on a list of trust; none is built in.
        signer: the name in the certificate.
        generator: the program that signed.
        actions: what was done, by the names of C2PA, such as "c2pa.edited".
        source_type: the last digital source type that an action names, by its IPTC term.
        earlier_types: those of the files that it was made from, as far as they are signed.
        ingredients: how many files it was made from; signed_ingredients: how many of these had credentials.
        problems: what is wrong, by codes of C2PA or in words.
        address: where they are, if elsewhere.
    """

    state: str
    trusted: bool = False
    signer: str | None = None
    generator: str | None = None
    actions: tuple[str, ...] = ()
    source_type: str | None = None
    earlier_types: tuple[str, ...] = ()
    ingredients: int = 0
    signed_ingredients: int = 0
    problems: tuple[str, ...] = ()
    address: str | None = None


def is_available() -> bool:
    """Whether the package that signs is installed."""
    return importlib.util.find_spec("c2pa") is not None


def can_sign(path: Path) -> bool:
    """Whether files of this name can be signed, and the package is installed."""
    return path.suffix.lower() in SIGNED and is_available()


def holds_credentials(path: Path) -> bool:
    """Whether a file holds Content Credentials or remnants of them, which needs no package to find out."""
    if not path.stat().st_size:
        return False
    with _bytes_of(path) as data:
        return holds_remnants(data)


def sign(path: Path, story: Story, source_type: SourceType) -> None:
    """Sign a finished file in place, which is replaced as a whole.

    Raises:
        InputError: the certificate, or a source's own credentials, cannot be used.
        UsageError, OutputError: as for `find_certificate`.
    """
    import c2pa

    certificate = find_certificate()
    mime = SIGNED[path.suffix.lower()]
    try:
        info = c2pa.C2paSignerInfo(certificate.algorithm, certificate.chain, certificate.key, None)
        with (
            c2pa.Context(c2pa.Settings.from_dict(_SETTINGS)) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_manifest(story, source_type, path), context=context) as builder,
        ):
            for number, (source, kind) in enumerate(_ingredients(story)):
                _add(builder, source, kind, _ingredient(number, source_type))
            with atomic_path(path) as temporary, path.open("rb") as unsigned, temporary.open("w+b") as signed:
                builder.sign(signer, mime, unsigned, signed)
    except c2pa.C2paError as error:
        raise InputError(f"{path}: cannot be signed ({error}); check the certificate, or use --no-sign") from error


def _add(builder: c2pa.Builder, source: Path, kind: str, ingredient: dict[str, str]) -> None:
    """Add a source with its own credentials; InputError if they are such that no manifest can hold them."""
    import c2pa

    try:
        with source.open("rb") as stream:
            builder.add_ingredient(json.dumps(ingredient), kind, stream)
    except c2pa.C2paError as error:
        raise InputError(
            f"{source}: its Content Credentials cannot be kept ({error}), so the result is not signed; use --no-sign"
        ) from error


def _ingredients(story: Story) -> list[tuple[Path, str]]:
    """The sources that C2PA can take in, and their MIME types: latents and folders are none."""
    kinds = [(source, mime_type(source)) for source in story.sources if source.is_file()]
    return [(source, kind) for source, kind in kinds if kind is not None]


def mime_type(path: Path) -> str | None:
    """The MIME type under which C2PA reads a file; None for one that it does not read."""
    kind = picture_kind_of(path)
    return _READ.get(kind) if kind is not None else _READ_CLIPS.get(path.suffix.lower())


def _ingredient(number: int, source_type: SourceType) -> dict[str, str]:
    """A photo that was edited is the parent; what only told how, or what a generated picture resembles, is an input."""
    edited = number == 0 and source_type == COMPOSITE
    title, relation = ("source", "parentOf") if edited else ("reference", "inputTo")
    return {"title": title, "relationship": relation, "instance_id": f"source-{number}", "label": f"source-{number}"}


def _manifest(story: Story, source_type: SourceType, path: Path) -> dict[str, Any]:
    """The manifest of a file: created, or opened, edited and composited, by which verb with which settings."""
    agent = {"name": "latentface", "version": __version__}
    common = {"softwareAgent": agent, "digitalSourceType": TERMS + source_type}
    names = [f"source-{number}" for number in range(len(_ingredients(story)))]
    told = {"latentface.verb": story.verb, "latentface.settings": dict(story.settings)}
    parents, inputs = (names[:1], names[1:]) if source_type == COMPOSITE else ([], names)
    parameters = {**told, **({"ingredientIds": inputs} if inputs else {})}
    actions: list[dict[str, Any]] = [{"action": "c2pa.created", **common, "parameters": parameters}]
    if parents:
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": parents}},
            {"action": "c2pa.edited", **common, "parameters": parameters},
            {"action": "latentface.composited", **common},
        ]
    return {
        "claim_generator_info": [agent],
        "title": "generated picture" if source_type == GENERATED else "edited picture",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}, *_unhashed(path)],
    }


def _unhashed(path: Path) -> Iterator[dict[str, Any]]:
    """What C2PA's hash of an MP4 file leaves out, as an assertion of ours."""
    if path.suffix.lower() == ".mp4":
        with _bytes_of(path) as data:
            yield {"label": _UNHASHED, "data": {"sha256": digest_unhashed(data)}}


@contextmanager
def _bytes_of(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def read_credentials(path: Path) -> Credentials | None:
    """The credentials of a file of any program; None if it has none, nor remnants of any."""
    kind = mime_type(path)
    if not holds_credentials(path):
        return None
    if kind is None:
        return Credentials("invalid", problems=("files of this kind hold none",))
    if not is_available():
        return Credentials("unread")
    with _bytes_of(path) as data:
        found = _read(path, kind, data)
        try:
            check_form(data, kind)
        except FlawError as flaw:
            return replace(found, state="invalid", problems=(*found.problems, str(flaw)))
    return found


def _read(path: Path, kind: str, data: mmap.mmap) -> Credentials:
    """What c2pa-python says of the credentials of a file; data: its bytes."""
    import c2pa

    try:
        with c2pa.Context(c2pa.Settings.from_dict(_SETTINGS)) as context, path.open("rb") as stream:
            reader = c2pa.Reader.try_create(kind, stream, context=context)
            if reader is None:
                return Credentials("invalid", problems=("its manifest cannot be found",))
            with reader:
                store = json.loads(reader.json())
    except c2pa.C2paError as error:
        return Credentials("invalid", problems=(" ".join(str(error).split()),))
    if store.get("active_manifest") not in store.get("manifests", {}):
        return Credentials("invalid", problems=("its manifest is not in the store",))
    found = _tell(store)
    signed = [each["data"] for each in _assertions(store, _UNHASHED)]
    if signed and signed[-1].get("sha256") != digest_unhashed(data):
        return replace(
            found, state="invalid", problems=(*found.problems, "the type of file or its padding was changed")
        )
    return found


def _assertions(store: dict[str, Any], label: str, active: bool = True) -> list[dict[str, Any]]:
    """Assertions whose label starts so, of the active manifest, or of all others."""
    return [
        assertion
        for name, manifest in store["manifests"].items()
        if (name == store["active_manifest"]) == active
        for assertion in manifest.get("assertions", ())
        if assertion["label"].startswith(label)
    ]


def _terms(actions: list[dict[str, Any]]) -> tuple[str, ...]:
    found = (action.get("digitalSourceType") for action in actions)
    return tuple(kind.rsplit("/", 1)[-1] for kind in found if kind)


def _tell(store: dict[str, Any]) -> Credentials:
    """What a store of manifests says, as C2PA's JSON has it."""
    manifest = store["manifests"][store["active_manifest"]]
    actions, earlier = (
        [action for each in _assertions(store, "c2pa.actions", active) for action in each["data"].get("actions", ())]
        for active in (True, False)
    )
    wrong = (each["code"] for each in store.get("validation_status", ()))
    problems = tuple(dict.fromkeys(code for code in wrong if not code.endswith(_UNTRUSTED)))
    state = "invalid" if store.get("validation_state") not in ("Valid", "Trusted") else "valid"
    signature, ingredients = manifest.get("signature_info", {}), manifest.get("ingredients", ())
    return Credentials(
        state="expired" if problems == (_EXPIRED,) else state,
        trusted=store.get("validation_state") == "Trusted",
        signer=signature.get("common_name") or signature.get("issuer"),
        generator=_generator(manifest),
        actions=tuple(action["action"] for action in actions),
        source_type=_terms(actions)[-1] if _terms(actions) else None,
        earlier_types=tuple(dict.fromkeys(_terms(earlier))),
        ingredients=len(ingredients),
        signed_ingredients=sum("active_manifest" in each for each in ingredients),
        problems=() if state == "valid" else problems,
    )


def _generator(manifest: dict[str, Any]) -> str | None:
    """The program that signed; manifests of C2PA 1 name it as browsers do, with its libraries behind it."""
    for program in manifest.get("claim_generator_info") or ():
        if program.get("name"):
            return " ".join(filter(None, (program["name"], program.get("version"))))
    words = manifest.get("claim_generator", "").split()
    return words[0].replace("_", " ").replace("/", " ") if words else None
