"""Readers, one small module per family of file formats; `unifocal.data.read` chooses among them."""
