"""The addresses of the chat pages."""

from django.urls import path

from . import (
    answer_views,
    api_door,
    decision_views,
    downloads,
    filing_views,
    prompt_views,
    search_views,
    sharing_views,
    streams,
    tool_views,
    views,
)
from .filing_views import CHANGES
from .results import views as results

_ONE = "conversations/<uuid:conversation_id>"
_SHARED = "shared/<uuid:share_id>/<str:signature>"

app_name = "chat"
urlpatterns = [
    path("", views.index, name="index"),
    path("send/", views.send, name="send"),
    path("conversations/", views.conversations, name="conversations"),
    path(f"{_ONE}/", views.conversation, name="conversation"),
    path(f"{_ONE}/send/", views.send, name="send"),
    path(f"{_ONE}/manage/", filing_views.manage, name="manage"),
    path(f"{_ONE}/rename/", filing_views.rename, name="rename"),
    *(path(f"{_ONE}/{name}/", filing_views.change, {"change": name}, name) for name in CHANGES),
    path(f"{_ONE}/delete/", filing_views.delete, name="delete"),
    path(f"{_ONE}/restore/", filing_views.restore, name="restore"),
    path("search/", search_views.search_page, name="search"),
    path("archived/", filing_views.archived, name="archived"),
    path(f"{_ONE}/export/<slug:form>/", filing_views.export, name="export"),
    path(f"{_ONE}/share/", sharing_views.share, name="share"),
    path("shares/", sharing_views.shares, name="shares"),
    path("shares/<uuid:share_id>/revoke/", sharing_views.revoke, name="revoke-share"),
    path(f"{_SHARED}/", sharing_views.shared, name="shared"),
    path(f"{_SHARED}/files/<int:file_id>/", sharing_views.file, name="shared-file"),
    path(
        f"{_SHARED}/attachments/<int:attachment_id>/",
        sharing_views.attachment,
        name="shared-attachment",
    ),
    path(f"{_ONE}/tools/", tool_views.tools, name="tools"),
    path("tools/", tool_views.tools, name="tools"),
    path(f"{_ONE}/prompts/", prompt_views.prompts, name="prompts"),
    path(f"{_ONE}/prompts/<int:prompt_id>/", prompt_views.prompt, name="prompt"),
    path("prompts/", prompt_views.prompts, name="prompts"),
    path("prompts/<int:prompt_id>/", prompt_views.prompt, name="prompt"),
    path("files/<int:file_id>/", downloads.file, name="file"),
    path("attachments/<int:attachment_id>/", downloads.attachment, name="attachment"),
    path("turns/<uuid:turn_id>/events/", streams.events, name="events"),
    path("turns/<uuid:turn_id>/stop/", views.stop, name="stop"),
    path("turns/<uuid:turn_id>/continue/", answer_views.go_on, name="continue"),
    path("turns/<uuid:turn_id>/regenerate/", answer_views.regenerate, name="regenerate"),
    path("turns/<uuid:turn_id>/edit/", answer_views.edit, name="edit"),
    path("turns/<uuid:turn_id>/show/", answer_views.show, name="show"),
    path("turns/<uuid:turn_id>/earlier/", answer_views.earlier, name="earlier"),
    path("turns/<uuid:turn_id>/text/", answer_views.text, name="text"),
    path("api/<path:path>", api_door.api, name="api"),
    path("api/", api_door.api, {"path": ""}, name="api"),
    path("inbox/", decision_views.inbox, name="inbox"),
    path("inbox/link/", decision_views.inbox_link, name="inbox-link"),
    path("approvals/<int:approval_id>/decide/", decision_views.decide, name="decide"),
    path("questions/<int:question_id>/answer/", decision_views.answer, name="answer"),
    path("calls/<int:call_id>/result/", results.result, name="result"),
    path("calls/<int:call_id>/result/download/", results.download, name="result-download"),
    path("calls/<int:call_id>/resolve/", decision_views.resolve, name="resolve"),
    path("grants/<int:grant_id>/revoke/", decision_views.revoke, name="revoke"),
]
