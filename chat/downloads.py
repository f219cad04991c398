"""Gives the files of a conversation, of its tools and its person, to that person: never a page."""

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from .files import CallFile, StoredFile
from .models import Attachment
from .security import chat_page

CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox"


@require_GET
@chat_page
def file(request: HttpRequest, file_id: int) -> HttpResponseBase:
    """One file of a call; everybody else's does not exist."""
    owned = CallFile.objects.owned_by(request.user).select_related("file")
    found = get_object_or_404(owned, pk=file_id)
    return given(request, found.file, found.media_type, found.download_name, found.is_image)


@require_GET
@chat_page
def attachment(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """One file that was sent along with a message; everybody else's does not exist."""
    owned = Attachment.objects.owned_by(request.user).select_related("file").defer("text")
    found = get_object_or_404(owned, pk=attachment_id)
    return given(request, found.file, found.media_type, found.name, found.is_image)


def given(
    request: HttpRequest, stored: StoredFile, media_type: str, name: str, is_image: bool
) -> HttpResponseBase:
    """A stored file, under a policy by which it is no page, whatever is in it."""
    etag = f'"{stored.sha256}"'
    headers = {
        "Content-Disposition": str(content_disposition_header(not is_image, name)),
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        # Kept by the browser, but asked for each time: whoever logs in next must not see it.
        "Cache-Control": "private, no-cache",
        "ETag": etag,
    }
    if unchanged := get_conditional_response(request, etag=etag):
        return _with(unchanged, headers)
    try:
        with stored.content.open() as opened:
            data = opened.read()
    except FileNotFoundError:
        raise Http404 from None
    return _with(HttpResponse(data, content_type=media_type), headers)


def text_as_file(text: str, content_type: str, name: str) -> HttpResponse:
    """A text as a file to keep."""
    headers = {
        "Content-Disposition": str(content_disposition_header(True, name)),
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    body = text.encode(errors="replace")
    return HttpResponse(body, content_type=content_type, headers=headers)


def _with(response: HttpResponseBase, headers: dict[str, str]) -> HttpResponseBase:
    for name, value in headers.items():
        response.headers[name] = value
    return response
