"""Settings searched by trials on inner folds: by the verb `tune`, and inside every fold of a study."""
