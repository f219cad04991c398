"""The addresses of the account pages; include them where you like, such as at `mcp/`."""

from django.urls import path

from . import views

app_name = "automate"
urlpatterns = [
    path("accounts/", views.index, name="accounts"),
    path("accounts/<slug:slug>/connect/", views.connect, name="connect"),
    path("accounts/<slug:slug>/callback/", views.callback, name="callback"),
    path("accounts/<slug:slug>/disconnect/", views.disconnect, name="disconnect"),
    path("accounts/<slug:slug>/client.json", views.client_metadata, name="client_metadata"),
]
