"""The models that a site has configured, by alias."""

from django.utils.translation import gettext as _

from automate.conf import conf
from automate.secrets import resolve_secret
from automate_llm.exceptions import ModelRefused, SecretUnavailable
from automate_llm.providers.base import ModelConfig, ModelProvider


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
