"""Takes the files of a form, and drops what may not be sent along while it comes in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import ValidationError
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from automate.conf import conf

from .attachments import Upload, clean_name, refuse_more_than, too_large

FIELD = "attachments"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class AttachmentLimits(FileUploadHandler):
    """Lets no more and no larger files through than a message may have.

    What is dropped never lies in memory or on disk; the form's other fields are read all the same,
    so that the text is not lost.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._settings = conf()
        self.count = 0
        self.too_large: list[str] = []

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.count += 1
        if self.count > self._settings.MAX_ATTACHMENTS:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) > self._settings.MAX_ATTACHMENT_BYTES:
            self.too_large.append(clean_name(self.file_name or ""))
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The next handler has it."""


def takes_attachments(view: View[P]) -> View[P]:
    """A view whose form may bring files, within the limits from their first byte on."""

    @csrf_exempt  # the token is asked for below, once the limits stand
    @wraps(view)
    def limited(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        # Whoever has read the form before us read it without our limits; they are held to then.
        if not hasattr(request, "_files"):
            request.upload_handlers.insert(0, AttachmentLimits(request))
        return protected(request, *args, **kwargs)

    protected = csrf_protect(view)
    return limited


def received(request: HttpRequest) -> list[Upload]:
    """The files that came with the form.

    Raises:
        ValidationError: there are too many, or one is too large.
    """
    files = request.FILES.getlist(FIELD)
    for limits in request.upload_handlers:
        if not isinstance(limits, AttachmentLimits):
            continue
        refuse_more_than(conf().MAX_ATTACHMENTS, limits.count)
        if limits.too_large:
            raise ValidationError(
                [
                    _("“%(name)s” was not taken: %(why)s")
                    % {"name": name, "why": too_large(conf())}
                    for name in limits.too_large
                ],
                code="attachment",
            )
    return [Upload(file.name or "", file.read()) for file in files]
