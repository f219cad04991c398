"""Which Django permissions a person lacks for what a server offers."""

from collections.abc import Iterable, Sequence
from typing import cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin

User = AbstractBaseUser | AnonymousUser


def permissions_lacked(user: User, required: Iterable[Sequence[str]]) -> frozenset[Sequence[str]]:
    """Of these groups of permissions, those that the person has not all of; `""` is none."""
    has_perm = cast(PermissionsMixin, user).has_perm
    return frozenset(
        group
        for group in required
        if not all(permission == "" or has_perm(permission) for permission in group)
    )
