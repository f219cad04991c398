"""The index of words in PostgreSQL; SQLite's is made after `migrate`, other databases have none."""

from django.db import migrations

FUNCTION = r"""
CREATE OR REPLACE FUNCTION automate_chat_words(content text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5000 AS $body$
BEGIN
    content := left(content, 100000);
    IF octet_length(content) <> char_length(content) THEN
        content := regexp_replace(normalize(content, NFD), E'[\u0300-\u036f]+', '', 'g');
    END IF;
    RETURN to_tsvector('pg_catalog.simple', regexp_replace(content, '[!-/:-@[-`{-~]+', ' ', 'g'));
END $body$
"""

INDEXES = {
    "chat_message_words": "automate_chat_message USING gin (automate_chat_words(content))",
    "chat_title_words": "automate_chat_conversation USING gin (automate_chat_words(title))",
}


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION, params=None)
        for name, place in INDEXES.items():
            schema_editor.execute(f"CREATE INDEX {name} ON {place}", params=None)


def unmake(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}", params=None)
        schema_editor.execute("DROP FUNCTION IF EXISTS automate_chat_words(text)", params=None)


class Migration(migrations.Migration):
    dependencies = [("automate_chat", "0001_initial")]

    operations = [migrations.RunPython(make, unmake, elidable=False)]
