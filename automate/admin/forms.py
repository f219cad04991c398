"""The form of a server, whose secret goes in and never comes back."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from automate.models import MCPServer
from automate.secrets import masked_secret

if TYPE_CHECKING:
    ServerModelForm = forms.ModelForm[MCPServer]
else:
    ServerModelForm = forms.ModelForm


class SecretInput(forms.TextInput):
    """A text field that never shows what was typed before."""

    def __init__(self) -> None:
        super().__init__({"class": "vTextField", "autocomplete": "off", "spellcheck": "false"})

    def format_value(self, value: Any) -> None:
        return None


class MCPServerForm(ServerModelForm):
    """Adds and edits a server; an empty secret field keeps the stored secret."""

    clear_secret = forms.BooleanField(
        label=_("Remove the stored secret"), required=False, help_text=_("Instead of keeping it.")
    )

    class Meta:
        model = MCPServer
        fields = (
            "name",
            "slug",
            "endpoint_url",
            "enabled",
            "auth_type",
            "auth_header",
            "auth_secret_ref",
            "protocol",
            "timeout",
            "accept_changes",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {"auth_secret_ref": SecretInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored = self.instance.auth_secret_ref
        self.initial["auth_secret_ref"] = ""
        secret = self.fields.get("auth_secret_ref")
        if secret is not None and self._stored:
            secret.help_text = format_html(
                "{} <strong>{}</strong>. {}",
                _("Stored now:"),
                masked_secret(self._stored),
                _("Leave it empty to keep that, or write env:VAR_NAME or file:/path."),
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "auth_secret_ref" not in data:
            return data
        if not data["auth_secret_ref"] and not data.get("clear_secret"):
            data["auth_secret_ref"] = self._stored
        if data.get("auth_type") != MCPServer.AuthType.NONE and not data["auth_secret_ref"]:
            self.add_error(
                "auth_secret_ref",
                forms.ValidationError(_("This authentication needs a secret."), code="required"),
            )
        return data
