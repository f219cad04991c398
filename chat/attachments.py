"""Files that a person sends along with a message: looked at, then kept, then shown to the model.

What a file is, its bytes say: an image of a kind that pages show, else text. Anything else is
refused, and so is what no model of ours could be given.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.conf import Settings
from automate_llm.content import RASTER_TYPES, File
from automate_llm.text import clean_text

from .files import keep, keep_row
from .language_models import sees_images
from .models import Attachment, Message
from .pictures import pixels

MAX_PIXELS = 50_000_000
"""Of one image; a file of a few bytes can claim more than a browser's memory holds."""

_TEXT = "text/plain"
_NAME_BYTES = 100
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Text has none of them but tab, line feed, form feed and carriage return.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came, with the name that it came by."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may be sent along, with what the model is shown of its text."""

    name: str
    file: File
    text: str = ""
    left_out: int = 0

    @property
    def is_image(self) -> bool:
        return self.file.media_type in RASTER_TYPES


def checked(uploads: Sequence[Upload], settings: Settings, model: str) -> list[Checked]:
    """The files of one message for this model, by its alias.

    Raises:
        ValidationError: there are too many, or one of them cannot be sent; each is named.
    """
    refuse_more_than(settings.MAX_ATTACHMENTS, len(uploads))
    found: list[Checked] = []
    refusals: list[str] = []
    for upload in uploads:
        name = clean_name(upload.name)
        try:
            found.append(_looked_at(name, upload.data, settings))
        except ValueError as exc:
            refusals.append(_("“%(name)s” was not taken: %(why)s") % {"name": name, "why": exc})
    if refusals:
        raise ValidationError(refusals, code="attachment")
    if any(each.is_image for each in found) and not sees_images(model, settings):
        raise ValidationError(
            _("This model cannot see images. Remove them, or choose another model."), code="image"
        )
    return found


def refuse_more_than(limit: int, count: int) -> None:
    """Refuse a message with more files than it may have."""
    if count > limit:
        words = ngettext(
            "A message can have %(limit)s file; this one has %(count)s.",
            "A message can have %(limit)s files; this one has %(count)s.",
            limit,
        )
        raise ValidationError(words % {"limit": limit, "count": f"{count:,}"}, code="attachments")


def too_large(settings: Settings) -> str:
    """Why a file is refused that is larger than it may be."""
    return _("it is larger than %(limit)s.") % {
        "limit": filesizeformat(settings.MAX_ATTACHMENT_BYTES)
    }


def store_bytes(files: Iterable[Checked]) -> None:
    """Have the storage take all of them. Not in a transaction: a storage may be slow.

    Raises:
        ValidationError: it does not take one.
    """
    for each in files:
        if not keep(each.file):
            raise ValidationError(
                _("The site could not store “%(name)s”, so nothing was sent. Try again later.")
                % {"name": each.name},
                code="storage",
            )


def attach(message: Message, files: Iterable[Checked]) -> None:
    """Let the message have these files. Belongs in a transaction, after `store_bytes`."""
    for each in files:
        Attachment.objects.create(
            message=message,
            file=keep_row(each.file),
            name=each.name,
            media_type=each.file.media_type,
            text=each.text,
            left_out=each.left_out,
        )


def attach_again(message: Message, others: Iterable[Attachment]) -> None:
    """Let the message have the files that another one has."""
    Attachment.objects.bulk_create(
        Attachment(
            message=message,
            file_id=each.file_id,
            name=each.name,
            media_type=each.media_type,
            text=each.text,
            left_out=each.left_out,
        )
        for each in others
    )


def clean_name(name: str) -> str:
    """The last part of a file's name, with nothing hidden, short, its ending kept."""
    name = " ".join(clean_text(name, 4_000).replace("\\", "/").split("/")[-1].split())
    name = name.replace('"', "'").strip(". ")
    if len(name.encode()) > _NAME_BYTES:
        start, dot, ending = name.rpartition(".")
        ending = f"{dot}{ending}" if start and len(ending.encode()) <= 10 else ""
        name = clean_text(name, _NAME_BYTES - len(ending.encode())).rstrip(". ") + ending
    return name or _("file")


def _looked_at(name: str, data: bytes, settings: Settings) -> Checked:
    """What the bytes are; raises `ValueError` with the reason where they are nothing of use."""
    if not data:
        raise ValueError(_("it is empty."))
    if len(data) > settings.MAX_ATTACHMENT_BYTES:
        raise ValueError(too_large(settings))
    for media_type, beginning in RASTER_TYPES.items():
        if beginning.match(data):
            if not 0 < pixels(data, media_type) <= MAX_PIXELS:
                raise ValueError(_("the image is broken, or far too large."))
            return Checked(name, File(data, media_type))
    text = _decoded(data)
    if text is None:
        raise ValueError(_("it is neither text nor a PNG, JPEG, GIF or WebP image."))
    # What a person cannot see in an editor must not speak to the model either.
    text = clean_text(text.replace("\r\n", "\n").replace("\r", "\n"), len(data) * 4)
    most = settings.MAX_ATTACHMENT_CHARACTERS
    return Checked(name, File(data, _TEXT), text[:most], max(0, len(text) - most))


def _decoded(data: bytes) -> str | None:
    encoding = _BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text
