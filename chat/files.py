"""Files of tools and of people: stored once by their content, each used by whatever had it.

The bytes lie in the storage that the site names `automate` in `STORAGES`, else in its default one.
No storage's own address is ever shown: `chat.downloads` gives a file to its conversation's owner.
"""

import logging
import mimetypes
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage, storages
from django.db import IntegrityError, models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from automate_llm.content import RASTER_TYPES, Block, File, without_files
from automate_llm.values import ToolResult

logger = logging.getLogger(__name__)

FOLDER = "automate"
GRACE = timedelta(hours=1)
"""How old a file must be before it counts as left behind: a younger one may still be stored."""


def file_storage() -> Storage:
    """Where the bytes are."""
    return storages["automate"] if "automate" in settings.STORAGES else default_storage


def storage_name(row: "StoredFile", _name: str) -> str:
    """No name of a server's, and no ending that a web server would take for a type."""
    return f"{FOLDER}/{row.sha256[:2]}/{row.sha256}"


class StoredFileQuerySet(models.QuerySet["StoredFile"]):
    def left_behind(self) -> Self:
        """Files that no call and no message has, though there was time enough."""
        return self.filter(uses=None, attachments=None, created_at__lt=timezone.now() - GRACE)


class StoredFile(models.Model):
    """Bytes, stored once whoever sent them."""

    sha256 = models.CharField(max_length=64, unique=True)
    size = models.PositiveIntegerField(_("bytes"))
    content = models.FileField(upload_to=storage_name, storage=file_storage, max_length=200)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = StoredFileQuerySet.as_manager()

    def __str__(self) -> str:
        return self.sha256


class CallFileQuerySet(models.QuerySet["CallFile"]):
    def owned_by(self, user: Any) -> Self:
        """Files in this person's conversations."""
        return self.filter(
            call__turn__conversation__user=user, call__turn__conversation__deleted_at=None
        )


class CallFile(models.Model):
    """One file of one call's result."""

    call = models.ForeignKey(
        "automate_chat.ToolCall", on_delete=models.CASCADE, related_name="files"
    )
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="uses")
    media_type = models.CharField(
        max_length=100, help_text=_("By what it is served; our choice, not the server's.")
    )

    objects = CallFileQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["call", "file"], name="chat_call_file")]

    def __str__(self) -> str:
        return f"{self.media_type} {self.file_id}"

    @property
    def is_image(self) -> bool:
        """Whether a page may show it; anything else is for download only."""
        return self.media_type in RASTER_TYPES

    @property
    def download_name(self) -> str:
        """A name of ours, the same for the same content."""
        ending = mimetypes.guess_extension(self.media_type) or ".bin"
        return f"file-{self.file.sha256[:12]}{ending}"


def keep_files(result: ToolResult) -> tuple[ToolResult, tuple[File, ...]]:
    """Store the files of a result; the result then names them by their hash.

    One that the storage does not take is left out with a word: the tool has done its work, and
    its other words must not be lost. `attach_files` must follow in the transaction that stores
    the result.
    """
    result, files = without_files(result)
    kept = tuple(file for file in files if keep(file))
    lost = {file.sha256 for file in files} - {file.sha256 for file in kept}
    if lost:
        content = tuple(_lost(block) if _hash(block) in lost else block for block in result.content)
        result = replace(result, content=content)
    return result, kept


def attach_files(call: models.Model, files: Iterable[File]) -> None:
    """Let the call have these files. Belongs in a transaction."""
    for file in files:
        CallFile.objects.create(call_id=call.pk, file=keep_row(file), media_type=file.media_type)


def keep(file: File) -> bool:
    """Have the storage take a file; false where it does not. `keep_row` must follow."""
    try:
        _stored(file)
    except Exception:  # a storage is somebody else's code, and may fail in any way
        logger.exception("The storage did not take a file of %d bytes", len(file.data))
        return False
    return True


def keep_row(file: File) -> StoredFile:
    """The row of a kept file, locked so that nobody clears it before it is used."""
    row = StoredFile.objects.select_for_update().filter(sha256=file.sha256).first()
    return row or _stored(file)


def clear_file(file_id: int) -> bool:
    """Delete a file that no call and no message has; false where one has it."""
    with transaction.atomic():
        row = StoredFile.objects.select_for_update().filter(pk=file_id).first()
        if row is None or row.uses.exists() or row.attachments.exists():
            return False
        content = row.content
        row.delete()
        transaction.on_commit(lambda: content.delete(save=False), robust=True)
    return True


def clear_left_behind() -> tuple[int, int]:
    """Delete files that nothing has, and bytes that no row knows, as a crash leaves them.

    Returns how many of each. A storage that cannot list its files keeps its bytes.
    """
    rows = sum(clear_file(row.pk) for row in StoredFile.objects.left_behind())
    storage = file_storage()
    strays = list(_strays(storage))
    for name in strays:
        storage.delete(name)
    return rows, len(strays)


def _strays(storage: Storage) -> Iterator[str]:
    try:
        folders, _files = storage.listdir(FOLDER)
    except (FileNotFoundError, NotImplementedError):
        return
    for folder in folders:
        path = f"{FOLDER}/{folder}"
        names = {f"{path}/{name}" for name in storage.listdir(path)[1]}
        known = StoredFile.objects.filter(content__in=names).values_list("content", flat=True)
        for name in sorted(names - set(known)):
            if storage.get_modified_time(name) < timezone.now() - GRACE:
                yield name


def _stored(file: File) -> StoredFile:
    if row := StoredFile.objects.filter(sha256=file.sha256).first():
        return row
    row = StoredFile(sha256=file.sha256, size=len(file.data))
    row.content.save("", ContentFile(file.data), save=False)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # somebody else stored the same bytes meanwhile
        row.content.delete(save=False)
        return StoredFile.objects.get(sha256=file.sha256)
    return row


def _hash(block: Block) -> str:
    part = block.get("resource", block)
    return str(part.get("file", ""))


def _lost(block: Block) -> Block:
    return {"type": "unusable", "kind": block["type"], "reason": "it could not be stored"}


@receiver(post_delete, sender=CallFile)
@receiver(post_delete, sender="automate_chat.Attachment")
def _clear_with_its_last_use(instance: Any, **kwargs: Any) -> None:
    file_id = instance.file_id
    transaction.on_commit(lambda: clear_file(file_id), robust=True)
