"""The addresses of the runnable site."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView

from chat.health import healthz
from chat.security import strict_content

example = TemplateView.as_view(template_name="site/example.html")
login = auth_views.LoginView.as_view(template_name="chat/login.html")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="chat:index")),
    path("chat/", include("chat.urls")),
    path("example/", strict_content(example), name="example"),
    path("healthz", healthz, name="healthz"),
    path("mcp/", include("automate.urls")),
    path("login/", strict_content(login), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    *staticfiles_urlpatterns(),
]
