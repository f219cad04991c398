"""What a browser may send to the chat."""

import uuid

from django import forms


class SubmissionForm(forms.Form):
    """The browser's own id for what it sends, so that sent twice it happens once."""

    submission = forms.UUIDField(required=False)

    def submission_id(self) -> uuid.UUID:
        """The id that was sent; a new one where there was none or it was no id."""
        self.is_valid()
        return self.cleaned_data.get("submission") or uuid.uuid4()


class MessageForm(SubmissionForm):
    """A message; whether it may be sent is for `send_message` to say."""

    text = forms.CharField(required=False, strip=False)
    model = forms.CharField(required=False)
    parent = forms.UUIDField(required=False)

    def message(self) -> str:
        """The text as written, with the line breaks that were typed, not those of the wire.

        What the form itself refuses (a NUL) is left to the rules of sending.
        """
        return str(self.data.get("text", "")).replace("\r\n", "\n")

    def left_out(self) -> str:
        """The servers and tools that a new conversation goes without, as the page wrote them."""
        return str(self.data.get("without", ""))

    def parent_id(self) -> uuid.UUID | None:
        """The last turn that the person saw; nothing where none was sent or it was no id."""
        self.is_valid()
        return self.cleaned_data.get("parent")

    def model_alias(self) -> str:
        """The alias of the model that was chosen; empty where none was."""
        self.is_valid()
        return str(self.cleaned_data.get("model", ""))


class ReasonForm(forms.Form):
    """Why somebody does not allow a call."""

    def reason(self) -> str:
        """The words as written; whatever cannot be stored is left out."""
        return (
            str(self.data.get("reason", "")).replace("\x00", "").encode(errors="replace").decode()
        )


class StepForm(forms.Form):
    """A step to another branch: which turn of the page its turns take the place of."""

    instead = forms.UUIDField(required=False)

    def instead_id(self) -> uuid.UUID | None:
        """That turn; nothing where none was sent or it was no id."""
        self.is_valid()
        return self.cleaned_data.get("instead")
