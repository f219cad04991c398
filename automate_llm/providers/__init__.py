"""Models behind one small interface; `base` holds it, each other module is one wire."""
