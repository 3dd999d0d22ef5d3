"""The last step of every verb: results get the invisible mark, are written, and are signed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from latentface.faces.crop import FaceCrop
from latentface.io.clip import Clip
from latentface.io.images import Photo, write_photo
from latentface.io.iptc import find_iptc
from latentface.io.memory import give_back
from latentface.io.provenance import SourceType
from latentface.io.xmp import find_packet
from latentface.options.results import ProvenanceOptions
from latentface.provenance import credentials
from latentface.provenance.credentials import Story
from latentface.provenance.mark import Marker
from latentface.provenance.payload import Payload


@dataclass(frozen=True)
class Publisher:
    """Writes the results of one run of a verb.

    Attributes:
        story: how they were made.
        options: whether they are marked and signed. Without c2pa-python nothing is signed.
        note: called with one line for the user.
    """

    story: Story
    options: ProvenanceOptions = field(default_factory=ProvenanceOptions)
    note: Callable[[str], object] = lambda text: None

    def of(self, source: Path) -> Publisher:
        """The same for a result that is made from another file."""
        return replace(self, story=replace(self.story, sources=(source,)))

    def photo(
        self,
        path: str | os.PathLike[str],
        photo: Photo,
        before: Photo | None = None,
        face: FaceCrop | None = None,
    ) -> Photo:
        """Mark, write and sign a photo; returns it as it was written.

        Args:
            path: the file.
            photo: the result. One whose pixels no network touched is neither marked nor signed.
            before: the photo before the edit; if its pixels are the same, there is nothing to mark.
            face: the face before the edit, in the same photo; the best detected face if None.
        """
        give_back(photo.rgb)
        if self.options.mark and photo.source_type is not None and not _same(before, photo):
            near = None if face is None else face.landmarks
            marked = marker().mark(photo.rgb, Payload.of(self.story.verb, photo.rgb), near)
            photo = photo if marked is None else replace(photo, rgb=marked)
        return self.sheet(path, photo)

    def sheet(self, path: str | os.PathLike[str], photo: Photo) -> Photo:
        """Write and sign a picture that shows several faces, which is not marked.

        A picture that brings neither an XMP packet nor IPTC data, such as a generated one, gets those of its source,
        since they say whose work that is.
        """
        source = self._source()
        if photo.xmp is None and photo.iptc is None and source is not None:
            photo = replace(photo, xmp=find_packet(source), iptc=find_iptc(source))
        write_photo(path, photo)
        self.sign(Path(path), photo.source_type)
        return photo

    def clip(self, clip: Clip) -> Clip:
        """The clip to write: with a mark in every frame that shows a face, and the XMP packet of its source."""
        source = self._source()
        if clip.xmp is None and source is not None:
            clip = replace(clip, xmp=find_packet(source))
        if not self.options.mark or clip.source_type is None:
            return clip
        return marker().mark_clip(clip, self.story.verb)

    def _source(self) -> Path | None:
        """The file that was edited, if there is one."""
        return next((each for each in self.story.sources[:1] if each.is_file()), None)

    def sign(self, path: Path, source_type: SourceType | None) -> None:
        """Sign a finished file, if it can be; a note tells when credentials of the source are lost for that reason."""
        if source_type is None:
            return
        if self.options.sign and credentials.can_sign(path):
            credentials.sign(path, self.story, source_type)
            return
        for source in self.story.sources:
            if source.is_file() and credentials.mime_type(source) and credentials.holds_credentials(source):
                reason = "sign it"
                if path.suffix.lower() not in credentials.SIGNED:
                    reason = f"end its name in {', '.join(credentials.SIGNED)}"
                elif self.options.sign:
                    reason = credentials.INSTALL
                self.note(f"{source}: its Content Credentials are not in {path.name}; to keep them, {reason}")


def marker() -> Marker:
    """The built-in mark."""
    from latentface import hub  # results that are not marked need no network

    return Marker(hub.mark(), hub.landmark_predictor())


def _same(before: Photo | None, after: Photo) -> bool:
    """Whether two photos have the same pixels, by rows: at once, large ones take as much memory as another photo."""
    if before is None or before.rgb.shape != after.rgb.shape:
        return False
    return all(np.array_equal(one, other) for one, other in zip(before.rgb, after.rgb, strict=True))
