"""The models that a site has configured, by alias, and who may choose which."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from automate.conf import Settings, conf
from automate.secrets import resolve_secret
from automate_llm.exceptions import ModelRefused, SecretUnavailable
from automate_llm.providers.base import ModelConfig, ModelProvider

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that a person may choose."""

    alias: str
    label: str
    sees_images: bool


def models_for(user: Any) -> list[ModelChoice]:
    """The models that this person may choose, in the order of the settings."""
    settings = conf()
    return [
        ModelChoice(alias, str(model.get("LABEL") or alias), sees_images(alias, settings))
        for alias, model in settings.MODELS.items()
        if not model.get("PERMISSION") or user.has_perm(model["PERMISSION"])
    ]


def chosen_model(user: Any, asked_for: str, kept: str = "") -> str:
    """The alias of the model that answers: the one asked for, else the one kept, else the default.

    Raises:
        ValidationError: the person may not have the one asked for, or any at all.
    """
    known = [each.alias for each in models_for(user)]
    if asked_for:
        if asked_for not in known:
            raise ValidationError(
                _("There is no such model, or you may not use it. Choose another one."),
                code="model",
            )
        return asked_for
    if known and kept not in known:
        return DEFAULT if DEFAULT in known else known[0]
    if not known and conf().MODELS:
        raise ValidationError(_("You may not use any model of this site."), code="model")
    return kept or DEFAULT


def sees_images(alias: str, settings: Settings) -> bool:
    """Whether the site says that this model takes images."""
    return settings.MODELS.get(alias, {}).get("IMAGES") is True


def provider_for(alias: str) -> ModelProvider:
    """The provider of a model in `AUTOMATE["MODELS"]`.

    Raises:
        ModelRefused: there is no such model, or its key cannot be had.
    """
    chosen = conf().MODELS.get(alias)
    if chosen is None:
        raise ModelRefused(
            _("No model %(alias)r is configured. Set it in AUTOMATE['MODELS'].") % {"alias": alias}
        )
    # The SDK is heavy: nothing but a turn loads it.
    from automate_llm.providers.openai import openai_provider

    return openai_provider(
        ModelConfig(
            model=chosen["MODEL"],
            base_url=chosen.get("BASE_URL", ""),
            api_key=_api_key(chosen.get("API_KEY", ""), local=bool(chosen.get("BASE_URL"))),
            timeout=chosen.get("TIMEOUT", 120.0),
            options=chosen.get("OPTIONS", {}),
        )
    )


def _api_key(reference: str, *, local: bool) -> str:
    try:
        return resolve_secret(reference) if reference else ""
    except SecretUnavailable as exc:
        if local:  # a model server of one's own often wants no key
            return ""
        raise ModelRefused(_("The model's key is missing. %(problem)s") % {"problem": exc}) from exc
