"""The forms of a server, whose secrets go in and never come back."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from automate.endpoints import leads_elsewhere
from automate.models import MCPServer, MCPServerOAuth
from automate.secrets import is_raw_secret, masked_secret
from automate.stdio import PREFIX

if TYPE_CHECKING:
    ServerModelForm = forms.ModelForm[MCPServer]
    OAuthModelForm = forms.ModelForm[MCPServerOAuth]
    OAuthInlineFormSet = forms.BaseInlineFormSet[MCPServerOAuth, MCPServer, OAuthModelForm]
else:
    ServerModelForm = OAuthModelForm = forms.ModelForm
    OAuthInlineFormSet = forms.BaseInlineFormSet


_NEED_SECRET = (MCPServer.AuthType.BEARER, MCPServer.AuthType.API_KEY)


class SecretInput(forms.TextInput):
    """A text field that never shows a secret, be it stored or typed; a reference is none."""

    def __init__(self) -> None:
        super().__init__({"class": "vTextField", "autocomplete": "off", "spellcheck": "false"})

    def format_value(self, value: Any) -> str | None:
        return None if not value or is_raw_secret(value) else str(value)


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
            "required_permission",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {"auth_secret_ref": SecretInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored = _hide_secret(self, "auth_secret_ref", self.instance.auth_secret_ref)
        self._endpoint_url = self.instance.endpoint_url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self._leave_what_does_not_apply(data)
        if "auth_secret_ref" not in data:
            return data
        if not data["auth_secret_ref"] and not data.get("clear_secret"):
            if self._stored and leads_elsewhere(
                self._endpoint_url, data.get("endpoint_url", self._endpoint_url)
            ):
                self.add_error("auth_secret_ref", _type_again())
                return data
            data["auth_secret_ref"] = self._stored
        if data.get("auth_type") in _NEED_SECRET and not data["auth_secret_ref"]:
            self.add_error(
                "auth_secret_ref",
                forms.ValidationError(_("This authentication needs a secret."), code="required"),
            )
        return data

    def _leave_what_does_not_apply(self, data: dict[str, Any]) -> None:
        """Take nothing from fields that the page hides by the login, not even their errors."""
        if data.get("endpoint_url", "").startswith(PREFIX):
            data |= {"auth_type": MCPServer.AuthType.NONE, "protocol": MCPServer.Protocol.AUTO}
        login = data.get("auth_type")
        used = {
            "auth_header": login == MCPServer.AuthType.API_KEY,
            "auth_secret_ref": login in _NEED_SECRET,
        }
        for name, is_used in used.items():
            if login and not is_used and name in self.fields:
                self.errors.pop(name, None)
                data[name] = "" if name == "auth_secret_ref" else self.instance.auth_header


class MCPServerOAuthForm(OAuthModelForm):
    """Edits how a server is authorized at; an empty secret field keeps the stored secret."""

    clear_secret = forms.BooleanField(
        label=_("Remove the stored secret"), required=False, help_text=_("Instead of keeping it.")
    )

    class Meta:
        model = MCPServerOAuth
        fields = (
            "issuer",
            "client_id",
            "client_secret_ref",
            "private_key_ref",
            "token_endpoint_auth_method",
            "scopes",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {"client_secret_ref": SecretInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored = _hide_secret(self, "client_secret_ref", self.instance.client_secret_ref)
        self._issuer = self.instance.issuer
        self.has_kept_secret = False

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not data.get("client_secret_ref") and not data.get("clear_secret"):
            if self._stored and leads_elsewhere(self._issuer, data.get("issuer", self._issuer)):
                self.add_error("client_secret_ref", _type_again())
            else:
                data["client_secret_ref"] = self._stored
                self.has_kept_secret = bool(self._stored)
        return data


class MCPServerOAuthFormSet(OAuthInlineFormSet):
    """The one form of a server; a server with OAuth of its own needs a client there."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        for form in self.initial_forms:
            kept = isinstance(form, MCPServerOAuthForm) and form.has_kept_secret
            if kept and self._leads_elsewhere():
                form.add_error("client_secret_ref", _type_again())
        if self.instance.auth_type != MCPServer.AuthType.OAUTH_CLIENT or any(self.errors):
            return
        data = self.forms[0].cleaned_data if self.forms else {}
        if not data.get("client_id"):
            raise forms.ValidationError(
                _("This authentication needs a client id."), code="client_id"
            )
        if not data.get("client_secret_ref") and not data.get("private_key_ref"):
            raise forms.ValidationError(
                _("This authentication needs a client secret or a private key."), code="proof"
            )

    def _leads_elsewhere(self) -> bool:
        """Whether the server's address is now another one's: its tokens would go there."""
        stored = MCPServer.objects.filter(pk=self.instance.pk).values_list(
            "endpoint_url", flat=True
        )
        return leads_elsewhere(stored[0], self.instance.endpoint_url)


def _type_again() -> forms.ValidationError:
    return forms.ValidationError(
        _(
            "The address leads to another host now. Type the secret again, so that it is sent "
            "there by somebody who knows it."
        ),
        code="type_again",
    )


def _hide_secret(form: ServerModelForm | OAuthModelForm, name: str, stored: str) -> str:
    """Show dots or the reference instead of a stored secret; gives the secret."""
    form.initial[name] = ""
    field = form.fields.get(name)
    if field is not None and stored:
        field.help_text = format_html(
            "{} <strong>{}</strong>. {}",
            _("Stored now:"),
            masked_secret(stored),
            _("Leave it empty to keep that, or write env:VAR_NAME or file:/path."),
        )
    return stored
