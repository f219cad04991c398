"""The addresses of the chat pages."""

from django.urls import path

from . import downloads, streams, views

app_name = "chat"
urlpatterns = [
    path("", views.index, name="index"),
    path("send/", views.send, name="send"),
    path("conversations/", views.conversations, name="conversations"),
    path("conversations/<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("conversations/<uuid:conversation_id>/send/", views.send, name="send"),
    path("conversations/<uuid:conversation_id>/delete/", views.delete, name="delete"),
    path("files/<int:file_id>/", downloads.file, name="file"),
    path("turns/<uuid:turn_id>/events/", streams.events, name="events"),
    path("turns/<uuid:turn_id>/stop/", views.stop, name="stop"),
    path("turns/<uuid:turn_id>/retry/", views.retry, name="retry"),
]
