"""Gives the files of tool calls to the owners of their conversations: data, never a page."""

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET

from .files import CallFile
from .security import chat_page

CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox"


@require_GET
@chat_page
def file(request: HttpRequest, file_id: int) -> HttpResponseBase:
    """One file of a call; everybody else's does not exist."""
    owned = CallFile.objects.owned_by(request.user).select_related("file")
    found = get_object_or_404(owned, pk=file_id)
    disposition = "inline" if found.is_image else "attachment"
    etag = f'"{found.file.sha256}"'
    headers = {
        "Content-Disposition": f'{disposition}; filename="{found.download_name}"',
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
        with found.file.content.open() as stored:
            data = stored.read()
    except FileNotFoundError:
        raise Http404 from None
    return _with(HttpResponse(data, content_type=found.media_type), headers)


def _with(response: HttpResponseBase, headers: dict[str, str]) -> HttpResponseBase:
    for name, value in headers.items():
        response.headers[name] = value
    return response
