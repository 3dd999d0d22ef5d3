"""What is known of where a picture or a clip comes from: its credentials, its invisible mark, its metadata."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from latentface.errors import InputError
from latentface.faces.people import People
from latentface.io.clip import Clip, Frame
from latentface.io.images import is_photo_file, read_photo
from latentface.io.provenance import TERMS
from latentface.io.video import read_clip
from latentface.io.video_reader import is_animation
from latentface.io.xmp import claimed, creator, find_packet, manifest_address
from latentface.provenance.credentials import INSTALL, Credentials, read_credentials
from latentface.provenance.mark import MarkReading
from latentface.provenance.payload import FALSE_ALARMS
from latentface.provenance.publish import marker

#: The most frames of a clip that vote about its mark, spread over its first `_SEEN` frames.
VOTES = 24
_SEEN = 480
_COMMENT = "DigitalSourceType: "
_NETWORK = "rainedAlgorithmicMedia"  # part of the terms of all that a trained network made or changed
_UNCHECKED = {
    "unread": f"there are some; to check them, {INSTALL}",
    "lost": "LOST: the metadata names some, but they are no longer in the file",
    "elsewhere": "none in the file; the metadata says that they are at {address}, which was not asked",
}

#: What IPTC's terms mean (cv.iptc.org/newscodes/digitalsourcetype), in plain words.
TERMS_IN_WORDS = {
    "trainedAlgorithmicMedia": "made by a trained network",
    "compositeWithTrainedAlgorithmicMedia": "a photo or clip that a trained network changed",
    "compositeSynthetic": "put together with synthetic parts",
    "algorithmicMedia": "made by an algorithm that was not trained",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "digitalCapture": "taken by a camera",
    "computationalCapture": "taken by a camera that combines several pictures",
    "negativeFilm": "scanned from a negative",
    "positiveFilm": "scanned from a positive",
    "print": "scanned from a print",
    "humanEdits": "edited by people",
    "digitalCreation": "made by people with software",
    "composite": "put together from several pictures",
    "compositeCapture": "put together from several pictures of cameras",
    "screenCapture": "a picture of a screen",
    "virtualRecording": "recorded in a virtual world",
    "dataDrivenMedia": "drawn from data",
}


@dataclass(frozen=True)
class Verification:
    """What a file says of its origin.

    Attributes:
        path: the file.
        credentials: its Content Credentials, or None.
        marks: the invisible marks of its faces; a clip has one at most.
        source_type: the IPTC term of its XMP packet or its comment, or None.
        software: the program that its XMP packet names, or None.
        false_alarms: the probability that one face of a picture without a mark is taken for marked.
    """

    path: Path
    credentials: Credentials | None
    marks: tuple[MarkReading, ...]
    source_type: str | None
    software: str | None
    false_alarms: float = FALSE_ALARMS

    @property
    def made_by_network(self) -> bool | None:
        """Whether a trained network made or changed it: True if anything says so, None if nothing is known."""
        terms = {self.source_type}
        if self.credentials is not None:
            terms |= {self.credentials.source_type, *self.credentials.earlier_types}
        if self.marks or any(_NETWORK in term for term in terms if term):
            return True
        signed = self.credentials is not None and self.credentials.state == "valid" and self.credentials.trusted
        return False if signed and "digitalCapture" in terms else None

    @property
    def meaning(self) -> tuple[str, ...]:
        """The same in plain words, a line for each finding and one for what follows."""
        return (_of_credentials(self.credentials), _of_marks(self.marks), _of_metadata(self), _conclusion(self))


def verify(path: str | os.PathLike[str]) -> Verification:
    """Read what a picture or a clip, of this program or any other, says of its origin.

    Raises:
        InputError: the file is missing, or is neither a picture nor a clip that can be read.
    """
    source = Path(path)
    if source.is_dir():
        raise InputError(f"{source}: this is a folder; give picture or clip files")
    if not source.is_file():
        raise InputError(f"{source}: no such file; check the path")
    if is_photo_file(source) and not is_animation(source):
        marks = marker().read(read_photo(source).rgb)
        comment = None
    else:
        clip = read_clip(source)
        found = marker().read_frames(_votes(clip)) or _of_anybody(clip)
        marks, comment = [] if found is None else [found], _comment(source)
    packet = find_packet(source)
    term, program, address = (read(packet) if packet else None for read in (claimed, creator, manifest_address))
    signed = read_credentials(source)
    if signed is None and address is not None:
        signed = Credentials("elsewhere", address=address) if "://" in address else Credentials("lost")
    return Verification(source, signed, tuple(marks), term or comment, program)


def _of_anybody(clip: Clip) -> MarkReading | None:
    """The mark of somebody else than the face that is seen best, which another edit may have left alone."""
    from latentface import hub

    tool = marker()
    return tool.read_people(_votes(clip), People(tool.landmarks, hub.embed_faces))


def _votes(clip: Clip) -> Iterator[Frame]:
    """Frames spread over the beginning of a clip."""
    step = max(1, min(clip.count or VOTES, _SEEN) // VOTES)
    return islice(clip, 0, step * VOTES, step)


def _comment(path: Path) -> str | None:
    """The IPTC term in the comment or tag of a clip, where other programs have dropped its XMP packet."""
    from latentface.io.media import open_media

    try:
        with open_media(path) as container:
            tags = {name.lower(): value for name, value in container.metadata.items()}
    except OSError:
        return None
    text = tags.get("comment", "")
    named = text.partition(_COMMENT)[2].partition(";")[0].strip() if _COMMENT in text else ""
    return named or tags.get("digitalsourcetype", "").removeprefix(TERMS) or None


def _of_credentials(found: Credentials | None) -> str:
    if found is None:
        return "Content Credentials: none."
    if found.state in _UNCHECKED:
        return f"Content Credentials: {_UNCHECKED[found.state].format(address=found.address)}."
    if found.state == "invalid":
        why = ", ".join(found.problems) or "unknown reason"
        return (
            f"Content Credentials: INVALID ({why}): the file or its credentials were changed after signing, "
            "or are not as the standard has them."
        )
    whom = f"signed by {found.signer or 'an unnamed signer'} with {found.generator or 'an unnamed program'}"
    trust = "" if found.trusted else "; nobody vouches here for who that is"
    if found.state == "expired":
        trust = ", whose certificate has expired; no time stamp shows that it was signed before"
    made = f"; made from {found.ingredients} files" if found.ingredients > 1 else ""
    state = "valid, unchanged" if found.state == "valid" else "unchanged"
    return f"Content Credentials: {state} since it was {whom}{trust}. It says: {_actions(found)}{made}{_kinds(found)}."


def _kinds(found: Credentials) -> str:
    """What signed sources say of themselves, if it is that a network made them; the result itself need not say so."""
    made = [kind for kind in found.earlier_types if _NETWORK in kind and kind != found.source_type]
    return f"; a source says of itself: {TERMS_IN_WORDS.get(made[0], made[0])}" if made else ""


def _actions(found: Credentials) -> str:
    done = ", ".join(action.rpartition(".")[2] for action in found.actions) or "nothing of what was done"
    kind = TERMS_IN_WORDS.get(found.source_type or "", found.source_type)
    return f"{done} ({kind})" if kind else done


def _of_marks(marks: tuple[MarkReading, ...]) -> str:
    if not marks:
        return "Invisible mark: none found."
    best = marks[0]
    by = f" by the votes of {best.frames} frames" if best.frames > 1 else ""
    return (
        f"Invisible mark: found{by}, {best.wrong_bits} of 48 bits wrong, certain to {best.confidence:.0%}: a face was "
        f"made by `latentface {best.payload.kind}`, number {best.payload.number}; one in "
        f"{1e-6 / FALSE_ALARMS:.1f} million faces without a mark is taken for a marked one."
    )


def _of_metadata(found: Verification) -> str:
    program = f", written by {found.software}" if found.software else ""
    if found.source_type is None:
        return f"Metadata: no claim{program}."
    words = TERMS_IN_WORDS.get(found.source_type, found.source_type)
    return f"Metadata: {words} ({found.source_type}){program}; anybody can change metadata."


def _conclusion(found: Verification) -> str:
    broken = found.credentials is not None and found.credentials.state == "invalid"
    if found.made_by_network:
        return "A trained network made or changed this." + broken * " Its Content Credentials do not hold."
    if found.made_by_network is False:
        return "A camera that a trusted signer vouches for took this."
    nothing = "Nothing says that a trained network made or changed this; that is no proof that none did."
    return "Its Content Credentials do not hold. " * broken + nothing
