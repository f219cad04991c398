"""The addresses of the chat pages."""

from django.urls import path

from . import downloads, streams
from .api import door
from .results import views as results
from .views import answers, conversations, decisions, filing, prompts, search, sharing, tools
from .views.filing import CHANGES

_ONE = "conversations/<uuid:conversation_id>"
_SHARED = "shared/<uuid:share_id>/<str:signature>"

app_name = "chat"
urlpatterns = [
    path("", conversations.index, name="index"),
    path("send/", conversations.send, name="send"),
    path("conversations/", conversations.conversations, name="conversations"),
    path(f"{_ONE}/", conversations.conversation, name="conversation"),
    path(f"{_ONE}/send/", conversations.send, name="send"),
    path(f"{_ONE}/manage/", filing.manage, name="manage"),
    path(f"{_ONE}/rename/", filing.rename, name="rename"),
    *(path(f"{_ONE}/{name}/", filing.change, {"change": name}, name) for name in CHANGES),
    path(f"{_ONE}/delete/", filing.delete, name="delete"),
    path(f"{_ONE}/restore/", filing.restore, name="restore"),
    path("search/", search.search_page, name="search"),
    path("archived/", filing.archived, name="archived"),
    path(f"{_ONE}/export/<slug:form>/", filing.export, name="export"),
    path(f"{_ONE}/share/", sharing.share, name="share"),
    path("shares/", sharing.shares, name="shares"),
    path("shares/<uuid:share_id>/revoke/", sharing.revoke, name="revoke-share"),
    path(f"{_SHARED}/", sharing.shared, name="shared"),
    path(f"{_SHARED}/files/<int:file_id>/", sharing.file, name="shared-file"),
    path(
        f"{_SHARED}/attachments/<int:attachment_id>/",
        sharing.attachment,
        name="shared-attachment",
    ),
    path(f"{_ONE}/tools/", tools.tools, name="tools"),
    path("tools/", tools.tools, name="tools"),
    path(f"{_ONE}/prompts/", prompts.prompts, name="prompts"),
    path(f"{_ONE}/prompts/<int:prompt_id>/", prompts.prompt, name="prompt"),
    path("prompts/", prompts.prompts, name="prompts"),
    path("prompts/<int:prompt_id>/", prompts.prompt, name="prompt"),
    path("files/<int:file_id>/", downloads.file, name="file"),
    path("attachments/<int:attachment_id>/", downloads.attachment, name="attachment"),
    path("turns/<uuid:turn_id>/events/", streams.events, name="events"),
    path("turns/<uuid:turn_id>/stop/", conversations.stop, name="stop"),
    path("turns/<uuid:turn_id>/continue/", answers.go_on, name="continue"),
    path("turns/<uuid:turn_id>/regenerate/", answers.regenerate, name="regenerate"),
    path("turns/<uuid:turn_id>/edit/", answers.edit, name="edit"),
    path("turns/<uuid:turn_id>/show/", answers.show, name="show"),
    path("turns/<uuid:turn_id>/earlier/", answers.earlier, name="earlier"),
    path("turns/<uuid:turn_id>/text/", answers.text, name="text"),
    path("api/<path:path>", door.api, name="api"),
    path("api/", door.api, {"path": ""}, name="api"),
    path("inbox/", decisions.inbox, name="inbox"),
    path("inbox/link/", decisions.inbox_link, name="inbox-link"),
    path("approvals/<int:approval_id>/decide/", decisions.decide, name="decide"),
    path("questions/<int:question_id>/answer/", decisions.answer, name="answer"),
    path("calls/<int:call_id>/result/", results.result, name="result"),
    path("calls/<int:call_id>/result/download/", results.download, name="result-download"),
    path("calls/<int:call_id>/resolve/", decisions.resolve, name="resolve"),
    path("grants/<int:grant_id>/revoke/", decisions.revoke, name="revoke"),
]
